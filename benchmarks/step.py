"""A training epoch, loader included: ours against a plain loop and against torchdistill, in one interleaved run.

All train the same student with the same frozen teacher on the same CIFAR-100 images, cropped and mirrored: batch 64,
Nesterov SGD, float32, one thread. Each is a process of its own, since the memory that one keeps would serve the others.
CPU time; in every round each goes through the images once, in changing order, and the ratio is taken within the round.
Memory is the most that the first epoch takes on top of what was there before it.
torchdistill comes from the package index (pip install torchdistill); it has no DKD and no ReviewKD, and its CRD needs
wrappers and samplers of its own: those cells are empty. With the teacher's answers kept, all of them are there already,
as in every run of a table but the first.

    python benchmarks/step.py --data-dir DIR
"""

import argparse
import importlib.util
import re
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import torch
from contestants.ours import Ours, Warm, WarmInBf16
from contestants.plain import Plain
from contestants.task import PAIRS, TERMS, Task
from contestants.torchdistill import TorchDistill

CONTESTANTS = {
    "ours": Ours,
    "plain loop": Plain,
    "torchdistill": TorchDistill,
    "ours, answers kept": Warm,
    "ours, answers kept, bf16": WarmInBf16,
}


def takes_part(name: str, method: str) -> bool:
    if name == "torchdistill" and importlib.util.find_spec("torchdistill") is None:
        return False
    return method in getattr(CONTESTANTS[name], "METHODS", [method])


class Contestant:
    """One of them in a process of its own, which does nothing while it is not its turn.

    ``peak``: MiB that its first epoch took on top of what was there before.
    """

    def __init__(self, options: argparse.Namespace, pair: str, method: str, name: str) -> None:
        words = ["--alone", pair, method, name, "--images", str(options.images)]
        words += [] if options.data_dir is None else ["--data-dir", str(options.data_dir)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen([sys.executable, __file__, *words], **pipes, text=True)
        self.peak = self._answer()

    def seconds(self) -> float:
        """CPU seconds of another epoch."""
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        return self._answer()

    def end(self) -> None:
        """Have it end."""
        self.process.stdin.close()
        self.process.wait()

    def _answer(self) -> float:
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"a contestant ended with exit code {self.process.wait()}")
        return float(line)


def rounds(options: argparse.Namespace, pair: str, method: str) -> tuple[dict[str, list[float]], dict[str, float]]:
    """CPU seconds of each contestant in each round, and the peak of each."""
    names = [name for name in ("ours", *options.beside) if takes_part(name, method)]
    made = {name: Contestant(options, pair, method, name) for name in names}
    seconds: dict[str, list[float]] = {name: [] for name in made}
    for turn in range(options.rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            seconds[name].append(made[name].seconds())
    for contestant in made.values():
        contestant.end()
    return seconds, {name: contestant.peak for name, contestant in made.items()}


def alone(options: argparse.Namespace) -> None:
    """Be a contestant: the peak of the first epoch, and for every line that comes the CPU seconds of another."""
    pair, method, name = options.alone
    answers, sys.stdout = sys.stdout, sys.stderr
    contestant = CONTESTANTS[name](Task(pair, method, 64, options.images, options.data_dir))
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far, of reading the data set, is forgotten
    before = memory("VmRSS")
    contestant.epoch()
    print(memory("VmHWM") - before, file=answers, flush=True)
    for _ in sys.stdin:
        start = time.process_time()
        contestant.epoch()
        print(time.process_time() - start, file=answers, flush=True)


def memory(what: str) -> float:
    """MiB of this process: VmRSS what it has, VmHWM the most it has had."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(rf"{what}:\s+(\d+)", status)[1]) / 1024


def against(seconds: dict[str, list[float]], name: str) -> str:
    if name not in seconds:
        return ""
    ratios = [theirs / ours for theirs, ours in zip(seconds[name], seconds["ours"], strict=True)]
    return f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, help="where CIFAR-100 lies")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--images", type=int, default=128, help="images an epoch: short rounds keep pairs comparable")
    parser.add_argument("--methods", nargs="+", choices=TERMS, default=list(TERMS))
    parser.add_argument("--pairs", nargs="+", choices=PAIRS, default=list(PAIRS))
    others = list(CONTESTANTS)[1:]
    parser.add_argument("--beside", nargs="+", choices=others, default=others[:3], help="who is measured beside ours")
    parser.add_argument("--alone", nargs=3, metavar=("PAIR", "METHOD", "WHO"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.alone:
        return alone(options)
    names = " | ".join(options.beside)
    print(f"| over ours | time, median (min to max): {names} | memory: {names} |")
    print("|---" * (2 * len(options.beside) + 1) + "|")
    for pair in options.pairs:
        for method in options.methods:
            seconds, peaks = rounds(options, pair, method)
            taken = [f"{peaks[n] / peaks['ours']:.2f}" if n in peaks else "" for n in options.beside]
            cells = [*(against(seconds, name) for name in options.beside), *taken]
            print(f"| {method}, {pair} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
