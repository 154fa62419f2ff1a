"""A small table with each feature of sweeps on and off: seconds of the whole command, start-up and report included.

    python benchmarks/table.py --data-dir DIR [--rounds 2] [--epochs 4] [--images 1000] [--rows 4] [--ways WAY ...]

Six rows, or the first few of them, on images of CIFAR-100, a trained resnet56 to resnet20, one seed, one thread a
process. Each way runs the same rows into a new folder, the ways in turn, and has to give the same numbers.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from potstill.commands import table
from potstill.cores import cores
from potstill.selection import Subset
from potstill.tables.express_cifar100 import TEACHER, TEACHER_FILE
from potstill.tables.row import Budget, Row, Table
from potstill.tables.sweep import Sweep

# A way more is a line here: what it is called, and the arguments of `potstill table` that make it. The others are
# compared with the first.
WAYS: dict[str, dict[str, object]] = {
    "one run at a time": {"sweep": Sweep(jobs=1), "teacher_cache": "off"},
    "teacher's answers kept": {"sweep": Sweep(jobs=1)},
    "side by side": {"sweep": Sweep(jobs=1, side_by_side=6), "teacher_cache": "off"},
    "both": {"sweep": Sweep(jobs=1, side_by_side=6)},
    "two processes": {"sweep": Sweep(jobs=2), "teacher_cache": "off"},
    "two processes, both": {"sweep": Sweep(jobs=2, side_by_side=3)},
}
TERMS = {
    "kd": ("0.1 * CE", "0.9 * KD(temperature=4)"),
    "kd-2": ("0.5 * CE", "0.5 * KD(temperature=2)"),
    "dkd": ("CE", "DKD"),
    "dist": ("CE", "DIST"),
    "logits": ("CE", "0.1 * Logits"),
    "at": ("CE", "1000 * AT on stages"),
}


def rows(budget: Budget) -> list[Row]:
    training = {"data": "cifar100", "normalize": "chenyaofo", "epochs": budget.epochs, "batch_size": 64, "lr": 0.05}
    pair = {"student": "resnet20", "teacher": TEACHER}
    return [
        Row(name, "distill", {**pair, "terms": terms}, training, teacher_file=TEACHER_FILE)
        for name, terms in TERMS.items()
    ]


def measure(arguments: dict[str, object], data: Subset, epochs: int) -> tuple[float, list[object]]:
    """Seconds of the whole table, and what its rows measured."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        result = table("bench", seeds=1, epochs=epochs, out=Path(folder), device="cpu", data=data, **arguments)
        seconds = time.perf_counter() - began
    if result["failed"]:
        raise SystemExit(json.dumps(result["failed"], indent=2))
    return seconds, [row["last"] for row in result["rows"]]


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, help="where CIFAR-100 and the teacher lie")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--rows", type=int, choices=range(1, len(TERMS) + 1), default=len(TERMS))
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS), help="the others beside the first")
    given = parser.parse_args(words)
    data = Subset(data_dir=given.data_dir, images=given.images, test_images=100)
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # the same bits however many run at once
    from potstill import tables

    tables.__all__.append("bench")
    made = Table("A benchmark.", "Nobody", "cifar100", "SGD", given.epochs, lambda budget: rows(budget)[: given.rows])
    tables.bench = made  # type: ignore[attr-defined]
    seconds: dict[str, list[float]] = {way: [] for way in given.ways}
    measured = {}
    for _ in range(given.rounds):
        for way in given.ways:
            took, numbers = measure(WAYS[way], data, given.epochs)
            seconds[way].append(took)
            measured.setdefault("all", numbers)
            if numbers != measured["all"]:
                raise SystemExit(f"{way}: other numbers than {given.ways[0]}")
    base = median(seconds[given.ways[0]])
    size = f"{given.rows} rows, {given.epochs} epochs of {given.images} images"
    print(f"{size}; {cores()} cores, Python {sys.version.split()[0]}")
    print("\n| way | seconds, median (min to max) | times as fast |\n|---|---|---|")
    for way, took in seconds.items():
        print(f"| {way} | {median(took):.1f} ({min(took):.1f} to {max(took):.1f}) | {base / median(took):.2f} |")


if __name__ == "__main__":
    main()
