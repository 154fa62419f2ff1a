"""What our own results on record say each method gained, paired by seed, with a verdict."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from potstill.commands.table import find_table
from potstill.statistics import Judged, Paired, judge

RESULTS = Path(__file__).resolve().parents[1] / "docs" / "results"
LEFT_OUT = {"channel-cifar-2500-images"}
"""Its rows are all within two points of chance, as its page says: no method is told from another."""
SINGLE = {
    "resnet56-to-resnet20-cifar10": {"resnet20-kd-at-seed0": "resnet20-alone-seed0"},
    "moonshine-wrn-16-1-cifar10": {
        f"wrn-16-1-{conv}-at": f"wrn-16-1-{conv}-alone" for conv in ("ConvB2", "DConv", "G8B2")
    },
}
"""Results that are no tables: the folder of each run with help, and of the run without."""


@dataclass(frozen=True)
class RecordedGain:
    """A row of a result: what the student reached alone and with help after the last epoch, in percent, by seed."""

    result: str
    row: str
    epochs: int
    alone: dict[int, float]
    helped: dict[int, float]
    judged: Judged


def recorded_gains() -> list[RecordedGain]:
    """All rows with help of all results, the largest gain of a result first."""
    return [gain for folder in sorted(RESULTS.iterdir()) if folder.name not in LEFT_OUT for gain in _of(folder)]


def _of(folder: Path) -> list[RecordedGain]:
    families: dict[str, dict[str, tuple[int, dict[int, float], dict[int, float]]]] = {}
    pairs = _single(folder) if folder.name in SINGLE else _table(folder) if (folder / "table.json").exists() else ()
    for row, baseline, epochs, alone, helped in pairs:
        families.setdefault(baseline, {})[row] = epochs, alone, helped
    found = []
    for family in families.values():
        judged = judge([Paired.of(helped, alone) for _, alone, helped in family.values()])
        found += [
            RecordedGain(folder.name, row, *one, its) for (row, one), its in zip(family.items(), judged, strict=True)
        ]
    return sorted(found, key=lambda gain: -(gain.judged.paired.mean or 0))


Pair = tuple[str, str, int, dict[int, float], dict[int, float]]
"""Row, baseline, epochs, and both by seed."""


def _table(folder: Path) -> Iterator[Pair]:
    """Rows of a table, each with the one that it names as its baseline."""
    table = json.loads((folder / "table.json").read_text())
    definition = find_table(table["name"])
    baselines = {row.name: row.baseline for row in definition.rows() if "booster" not in row.learners}
    values = {
        row["row"]: dict(zip(row["seeds"], row["last"]["values"], strict=True)) for row in table["rows"] if row["last"]
    }
    for row, helped in values.items():
        if (baseline := baselines.get(row)) in values:
            yield row, baseline, _epochs(next(folder.glob(f"{row}/seed-*"))), values[baseline], helped


def _single(folder: Path) -> Iterator[Pair]:
    """Runs of a result that is no table."""
    for row, baseline in SINGLE[folder.name].items():
        yield row, baseline, _epochs(folder / row), _reached(folder / baseline), _reached(folder / row)


def _epochs(run: Path) -> int:
    return int(json.loads((run / "summary.json").read_text())["epochs"])


def _reached(run: Path) -> dict[int, float]:
    student = json.loads((run / "summary.json").read_text())["learners"]["student"]
    return {json.loads((run / "config.json").read_text())["arguments"]["seed"]: student["last"]["test"]["top1"]}
