"""What the charts of classes and of calibration are drawn from."""

import math
from typing import Any

from potstill.report.rows import ReportRow
from potstill.runs.details import Details

MOST_CLASSES = 100
"""A confusion matrix of more classes is not drawn."""
SHOWN_CLASSES, SHOWN_PAIRS = 40, 15
"""So many classes and pairs of classes are listed: the worst, and those that are confused most."""


def in_detail(row: ReportRow) -> dict[str, Any] | None:
    """The details of the first of a row's runs that tells, in plain JSON; of many classes only what is shown.

    Returns:
        ``classes``: [name, images, accuracy, number] each, the worst first; ``matrix``: [label, chosen, images] each,
        None of many classes; ``pairs``: the largest mistakes, likewise; ``names`` and ``sizes`` of the classes that
        these speak of; ``bins``: [low, high, images, mean probability, accuracy] of those that hold images; in percent.
    """
    run = next((run for run in row.runs if row.learner in run.details), None)
    if run is None:
        return None
    found = run.details[row.learner]
    mistakes = sorted((cell for cell in found["confusion"] if cell[0] != cell[1]), key=lambda cell: (-cell[2], cell))
    classes = [
        [one["class"], one["n"], _digits(one["top1"]), k] for k, one in enumerate(found["classes"]) if one["n"] > 0
    ]
    small, pairs = len(found["classes"]) <= MOST_CLASSES, mistakes[:SHOWN_PAIRS]
    named = range(len(found["classes"])) if small else {k for pair in pairs for k in pair[:2]}
    return {
        "run": run.name,
        "count": len(found["classes"]),
        "classes": sorted(classes, key=lambda one: (one[2], one[3]))[:SHOWN_CLASSES],
        "matrix": found["confusion"] if small else None,
        "pairs": pairs,
        "names": {k: found["classes"][k]["class"] for k in named},
        "sizes": {k: found["classes"][k]["n"] for k in named},
        "bins": _bins(found),
        **{key: _digits(value) for key, value in found.items() if isinstance(value, int | float)},
    }


def _bins(found: Details) -> list[list[float]]:
    keys = ("low", "high", "n", "confidence", "top1")
    rows: list[dict[str, Any]] = [{**one} for one in found["bins"]]
    return [[_digits(row[key]) for key in keys] for row in rows if row["n"] > 0]


def _digits(value: float | None) -> float:
    """Five digits are more than a chart shows; whole numbers stay, and None, which no sound file holds, is 0."""
    if isinstance(value, int):
        return value
    return float(f"{value:.5g}") if value is not None and math.isfinite(value) else 0.0
