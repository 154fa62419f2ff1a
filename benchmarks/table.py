"""A small table on the digits with each feature of sweeps on and off: seconds of the whole command.

python benchmarks/table.py [--rounds 3] [--seeds 2]

Each way runs the same rows into a new folder, the ways in turn. That they give the same numbers is checked, too.
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
from potstill.tables.row import Budget, Row, Table
from potstill.tables.sweep import Sweep

# A way more is a line here: what it is called, and the arguments of `potstill table` that make it. The others are
# compared with the first. The teacher cache and students side by side get theirs here.
WAYS: dict[str, dict[str, object]] = {
    "one run at a time": {"sweep": Sweep(jobs=1)},
    "two at once": {"sweep": Sweep(jobs=2)},
}
STUDENT, TEACHER = "wrn-10-1", "wrn-16-2"


def rows(budget: Budget) -> list[Row]:
    training = {"data": "digits", "epochs": budget.epochs, "batch_size": 64, "lr": 0.05}
    terms = {"kd": ("0.1 * CE", "0.9 * KD(temperature=4)"), "at": ("CE", "100 * AT on stages"), "dkd": ("CE", "DKD")}
    return [
        Row("teacher", "supervised", {"network": TEACHER}, training),
        Row("alone", "supervised", {"network": STUDENT}, training),
        *(Row(name, "distill", {"student": STUDENT, "terms": of}, training, "teacher") for name, of in terms.items()),
    ]


def measure(arguments: dict[str, object], seeds: int, epochs: int) -> tuple[float, list[object]]:
    """Seconds of the whole table, and what its rows measured."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        result = table("digits-bench", seeds=seeds, epochs=epochs, out=Path(folder), device="cpu", **arguments)
        seconds = time.perf_counter() - began
    if result["failed"]:
        raise SystemExit(json.dumps(result["failed"], indent=2))
    return seconds, [row["last"] for row in result["rows"]]


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=10)
    given = parser.parse_args(words)
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # the same bits however many run at once
    from potstill import tables

    tables.__all__.append("digits_bench")
    tables.digits_bench = Table("A benchmark.", "Nobody", "digits", "SGD", given.epochs, rows)  # type: ignore[attr-defined]
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    measured = {}
    for _ in range(given.rounds):
        for way, arguments in WAYS.items():
            took, numbers = measure(arguments, given.seeds, given.epochs)
            seconds[way].append(took)
            measured.setdefault("all", numbers)
            if numbers != measured["all"]:
                raise SystemExit(f"{way}: other numbers than {next(iter(WAYS))}")
    base = median(seconds[next(iter(WAYS))])
    size = f"{len(rows(Budget(1, 1)))} rows, {given.seeds} seeds, {given.epochs} epochs of digits"
    print(f"{size}; {cores()} cores, Python {sys.version.split()[0]}")
    print("\n| way | seconds, median (min to max) | times as fast |\n|---|---|---|")
    for way, took in seconds.items():
        print(f"| {way} | {median(took):.1f} ({min(took):.1f} to {max(took):.1f}) | {base / median(took):.2f} |")


if __name__ == "__main__":
    main()
