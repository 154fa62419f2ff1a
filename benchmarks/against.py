"""What a change gains: start-up, a step, and the peak of memory of this checkout against another commit's.

    python benchmarks/against.py COMMIT [--rounds 5]

Every figure is of a process of its own on one thread, of both in turns; what is printed is the median of the ratios
before / now, and their range: above 1, this checkout needs less. Random weights and images: neither changes the cost.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

START_UP = """
import os, resource, tempfile
from potstill.cli import main
out = tempfile.mkdtemp()
short = ["--data", "digits", "--images", "100", "--test-images", "100", "--epochs", "1", "--lr", "0.05"]
assert not main(["supervised", "--network", "resnet8", *short, "--out", os.path.join(out, "run"), "--json"])
used = resource.getrusage(resource.RUSAGE_SELF)
print("FIGURE", used.ru_utime + used.ru_stime)
"""
STEP = """
import time, torch
import potstill as ps
torch.set_num_threads(1)
student, teacher = ps.networks.create({student!r}, seed=0), ps.freeze(ps.networks.create({teacher!r}, seed=1))
batch = torch.randn(64, 3, 32, 32).to(memory_format=torch.channels_last), torch.arange(64) % 10
terms = [ps.Term(ps.losses.CE(), "student", "labels"), ps.Term(ps.losses.KD(), "student", "teacher")]
# The order of the dictionary, which recipes have too, was once the order in which networks ran.
distiller = ps.Distiller({{"student": student, "teacher": teacher}}, terms, example=batch)
distiller.to(memory_format=torch.channels_last)
optimizer = torch.optim.SGD([p for p in distiller.parameters() if p.requires_grad], lr=0.1, momentum=0.9)
for step in range(23):
    if step == 3:
        began = time.process_time()
    distiller(batch)[0].backward()
    optimizer.step()
    optimizer.zero_grad()
print("FIGURE", time.process_time() - began)
"""
MEMORY = """
import resource, torch
import potstill as ps
torch.set_num_threads(1)
networks = {"student": ps.networks.create("resnet18"), "teacher": ps.freeze(ps.networks.create("resnet50"))}
batch = torch.randn(32, 3, 224, 224), torch.arange(32) % 10
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
terms = [ps.Term(ps.losses.CE(), "student", "labels"), ps.Term(ps.losses.AT(), "student.stage4", "teacher.stage4")]
ps.Distiller(networks, terms, example=batch)
print("FIGURE", max(1, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""
FIGURES = {
    "start-up of a small run, CPU seconds": START_UP,
    "20 steps of KD, WRN-40-2 to WRN-16-2, batch 64, CPU seconds": STEP.format(student="wrn-16-2", teacher="wrn-40-2"),
    "20 steps of KD, resnet56 to resnet20, batch 64, CPU seconds": STEP.format(student="resnet20", teacher="resnet56"),
    "memory to make a distiller, ResNet-50 to ResNet-18, 32 images of 224 pixels, MiB": MEMORY,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commit")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="potstill-") as folder:
        tree = Path(folder) / "tree"
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", str(tree), given.commit], check=True)
        try:
            print(f"| {given.commit[:7]} / this checkout, {given.rounds} rounds | median | range |\n|---|---|---|")
            for name, code in FIGURES.items():
                print(row(name, [figure(code, tree) / figure(code, ROOT) for _ in range(given.rounds)]), flush=True)
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=True)


def figure(code: str, tree: Path) -> float:
    """What ``code`` prints when it runs with the package of a checkout."""
    environment = {**os.environ, "PYTHONPATH": str(tree / "src"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True)
    return float(done.stdout.rpartition("FIGURE ")[2])


def row(name: str, ratios: list[float]) -> str:
    """A line of the table."""
    return f"| {name} | {statistics.median(ratios):.2f} | {min(ratios):.2f} to {max(ratios):.2f} |"


if __name__ == "__main__":
    main()
