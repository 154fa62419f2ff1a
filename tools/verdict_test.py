"""Whether verdicts of ``potstill compare`` can be trusted: a made-up method that does nothing, and one that spoils.

    python tools/verdict_test.py docs/results/compare/verdicts.json runs/verdicts
    python tools/verdict_test.py /tmp/verdicts.json /tmp/runs --repetitions 2

Compares both with the student alone, again and again with other seeds, and counts the verdicts: the first should be
UNDECIDED (but for one in twenty by chance), the second WORSE. All runs are in this process, a repetition that is there
is not repeated, and the file is written anew after each.
"""

import argparse
import json
import sys
from collections import Counter
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

from potstill.cli import main as potstill

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from in_process import InProcess

SEEDS = 5
MADE_UP = '''
import torch
import torch.nn.functional as F
from torch import nn


def student(classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 32), nn.ReLU(), nn.Linear(32, classes))


class Nothing(nn.Module):
    """Noise of mean 0: runs are others than without, and none the better or worse."""

    taps = ("student", "labels")

    def forward(self, student, labels):
        return 0.2 * (student * torch.randn_like(student)).mean()


class Spoils(nn.Module):
    """Towards the class after the right one."""

    taps = ("student", "labels")

    def forward(self, student, labels):
        return F.cross_entropy(student, (labels + 1) % student.shape[1])
'''
TRAINING = "--data digits --images 300 --epochs 5 --batch-size 30 --lr 0.2 --schedule cosine --device cpu"
EXPECTED = {"Nothing": "UNDECIDED", "Spoils": "WORSE"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("record", type=Path, help="file that is written")
    parser.add_argument("runs", type=Path, help="folder of the runs")
    parser.add_argument("--repetitions", type=int, default=20)
    given = parser.parse_args()
    given.runs.mkdir(parents=True, exist_ok=True)
    (given.runs / "made_up.py").write_text(MADE_UP)
    record = []
    for number in range(given.repetitions):
        record.append(repetition(given.runs, number))
        counts = {name: dict(Counter(one[name]["verdict"] for one in record)) for name in EXPECTED}
        told = {"expected": EXPECTED, "counts": counts, "seeds": SEEDS, "training": TRAINING, "repetitions": record}
        given.record.parent.mkdir(parents=True, exist_ok=True)
        given.record.write_text(json.dumps(told, indent=1) + "\n")
        print(number, counts, flush=True)


def repetition(runs: Path, number: int) -> dict[str, dict[str, object]]:
    """The verdicts of one comparison, whose seeds no other has."""
    out, file = runs / f"{number:02}", runs / "made_up.py"
    methods = [f"CE; 1 * {file}:{name}" for name in EXPECTED]
    words = ["compare", "--student", f"{file}:student", *TRAINING.split(), "--out", str(out)]
    words += ["--seed", str(number * SEEDS), "--seeds", str(SEEDS), "--methods", *methods]
    out.mkdir(parents=True, exist_ok=True)
    with (
        patch("potstill.tables.runners.local.local", lambda at_once, gpus=(): [InProcess([])]),
        (out / "log").open("a") as log,
        redirect_stdout(log),
        redirect_stderr(log),
    ):
        if potstill(words):
            raise SystemExit(f"repetition {number} failed: {log.name}")
    gains = [row["gain"] for row in json.loads((out / "table.json").read_text())["rows"][1:]]
    kept = ("verdict", "mean", "low", "high", "p_holm", "further_seeds")
    return {name: {key: gain[key] for key in kept} for name, gain in zip(EXPECTED, gains, strict=True)}


if __name__ == "__main__":
    main()
