"""What help does to each class: its accuracy minus the baseline's, the most changed classes first."""

from collections.abc import Mapping, Sequence
from statistics import mean

from potstill.report.gains import RowGain
from potstill.report.markup import Html, name, note, section, table
from potstill.report.rows import ReportRow
from potstill.runs.details import ClassFound

SHOWN, LISTED = 10, 40
"""So many classes are columns, and so many more can be opened."""
CHANGED = 0.005
"""Points from which on a class counts as changed: less is written as 0.00."""
NOTE = """Accuracy on the test images of a class minus the baseline's, in points, mean over the seeds that both have;
the most changed classes of all rows first. Blue is better, orange worse, full at the largest change. These are no
verdicts: of a few images and seeds, a single class changes by chance as well."""


def class_changes(row: ReportRow, alone: ReportRow) -> dict[str, float]:
    """The change of each class in points, by its name; empty where no seed of both left `Details` of as many images."""
    ours, theirs = _classes(row), _classes(alone)
    pairs = [(ours[seed], theirs[seed]) for seed in sorted(ours.keys() & theirs.keys())]
    pairs = [(one, other) for one, other in pairs if _images(one) == _images(other)]
    found: dict[str, list[float]] = {}
    for one, other in pairs:
        for a, b in zip(one, other, strict=True):
            if a["top1"] is not None and b["top1"] is not None:
                found.setdefault(a["class"], []).append(a["top1"] - b["top1"])
    return {label: mean(values) for label, values in found.items()}


def class_gains_section(rows: Sequence[ReportRow], gains: Sequence[RowGain]) -> str:
    """A heat map a set of classes, rows by classes; nothing where no run kept its classes."""
    families: dict[tuple[str, ...], dict[int, dict[str, float]]] = {}
    for gain in gains:
        if changes := class_changes(rows[gain.row], rows[gain.baseline]):
            families.setdefault(tuple(sorted(changes)), {})[gain.row] = changes
    maps = "".join(_heat_map(rows, family) for family in families.values())
    return section("class-gains", "Which classes it helps", maps + note(NOTE)) if maps else ""


def _heat_map(rows: Sequence[ReportRow], family: Mapping[int, Mapping[str, float]]) -> str:
    """Rows by the most changed classes, and the next ones to be opened."""
    labels = list(next(iter(family.values())))
    largest = {label: max(abs(changes[label]) for changes in family.values()) for label in labels}
    order = sorted(labels, key=lambda label: -largest[label])
    most = max(largest.values())
    shown = order[:SHOWN]
    lines = [
        [name(i, rows[i].label), *map(str, _counts(changes)), *(_cell(changes[label], most) for label in shown)]
        for i, changes in family.items()
    ]
    further = order[SHOWN : SHOWN + LISTED]
    hidden = ""
    if further:
        below = [[label, *(_cell(changes[label], most) for changes in family.values())] for label in further]
        heads = ("class", *(name(i, rows[i].label) for i in family))
        left = len(order) - len(shown) - len(further)
        said = f"The next {len(further)} classes" + (f"; {left:,} more changed less" if left else "")
        hidden = f"<details><summary>{said}</summary>{table(heads, below)}</details>"
    return f'<div class="heat">{table(("row", "classes better", "worse", *shown), lines)}{hidden}</div>'


def _classes(row: ReportRow) -> dict[int, list[ClassFound]]:
    kept = [run for run in row.counted if run.seed is not None and row.learner in run.details]
    return {run.seed: run.details[row.learner]["classes"] for run in kept if run.seed is not None}


def _images(classes: Sequence[ClassFound]) -> list[tuple[str, int]]:
    return [(one["class"], one["n"]) for one in classes]


def _counts(changes: Mapping[str, float]) -> tuple[int, int]:
    """How many classes are better, and how many are worse."""
    return sum(c >= CHANGED for c in changes.values()), sum(c <= -CHANGED for c in changes.values())


def _cell(change: float, most: float) -> Html:
    """A change, on a ground as strong as it is large."""
    strength = 75 * abs(change) / max(most, CHANGED)
    colour = "var(--c0)" if change > 0 else "var(--c1)"
    ground = f"background:color-mix(in srgb,{colour} {strength:.0f}%,transparent)"
    return Html(f'<span class="change" style="{ground}">{change:+.2f}</span>')
