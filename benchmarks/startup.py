"""How long the command line takes to answer: CPU time of whole processes, interleaved with an empty Python.

python benchmarks/startup.py
"""

import argparse
import resource
import subprocess
import sys
from statistics import median

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "potstill --help": ["-m", "potstill", "--help"],
    "potstill distill --studnet resnet20 (rejected)": ["-m", "potstill", "distill", "--studnet", "resnet20"],
}


def cpu_seconds(arguments: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], capture_output=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for round_ in range(rounds + 1):
        for name, arguments in COMMANDS.items():
            took = cpu_seconds(arguments)
            if round_:  # the first writes the compiled files
                seconds[name].append(took)
    print("| process | CPU seconds, median (min to max) | rounds |\n|---|---|---|")
    for name, values in seconds.items():
        print(f"| `{name}` | {median(values):.3f} ({min(values):.3f} to {max(values):.3f}) | {rounds} |")


if __name__ == "__main__":
    main()
