"""What the charts are drawn from, as plain JSON."""

import math
from collections.abc import Sequence
from statistics import mean
from typing import Any, TypedDict

from potstill.report.gains import RowGain
from potstill.report.helped import Helped, pictured
from potstill.report.in_detail import in_detail
from potstill.report.rows import ReportRow, baseline
from potstill.report.tuning import Tuned, tuning_content
from potstill.runs.headline import ACCURACY, COSTS, digits, heads, results, title
from potstill.runs.recorded import RecordedRun
from potstill.runs.schema import Epoch, Image


class PageContent(TypedDict):
    """All that the charts are drawn from; ``measure``: what its rows are measured by, written with ``digits``."""

    measure: str
    digits: int
    rows: list[dict[str, Any]]
    gains: list[dict[str, Any]]
    helped: list[dict[str, Any]]
    tuning: list[dict[str, Any]]
    teachers: list[dict[str, Any]]
    images: list[list[Image]]


def content(
    rows: Sequence[ReportRow],
    gains: Sequence[RowGain] = (),
    images_won: Sequence[Helped] = (),
    tuned: Tuned | None = None,
) -> PageContent:
    """Curves, gains, shares of the loss, costs and attention maps of all rows; and what tuned their settings."""
    images: list[list[Image]] = []  # sets of test images, each kept once
    measure = next((row.measure for row in rows if row.measure is not None), ACCURACY)
    return {
        "measure": f"test {title(measure)}",
        "digits": digits(measure),
        "rows": [_row(row, rows, measure, images) for row in rows],
        "gains": [gain.plain() for gain in gains],
        "helped": pictured(rows, images_won),
        "tuning": tuning_content(tuned),
        "teachers": _teachers(rows, measure),
        "images": images,
    }


def _row(row: ReportRow, rows: Sequence[ReportRow], measure: str, images: list[list[Image]]) -> dict[str, Any]:
    """One row; ``value`` is null where it is headed by something else than ``measure``."""
    last = row.spread("last") if row.measure == measure else None
    alone = baseline(row, rows)
    return {
        "label": row.label,
        "network": row.spec,
        **{what: row.cost(what) for what in COSTS},
        "value": last and last.mean,
        "deviation": last and last.std,
        "seeds": [_curves(run, row.learner) for run in row.runs],
        "loss": None if any(r.runs is row.runs for r in rows[: rows.index(row)]) else _loss(row.runs),
        "baseline": None if alone is None else rows.index(alone),
        "look": _look(row, images),
        "details": in_detail(row),
    }


def _curves(run: RecordedRun, learner: str) -> dict[str, Any]:
    """Everything measured once an epoch, by name."""
    tests = [record["learners"][learner]["test"] for record in run.history]
    heldout = [record["learners"][learner].get("holdout") or {} for record in run.history]
    series: dict[str, list[float | None]] = {}
    for name in results(tests[0]):
        series[f"test {title(name)}"] = [test.get(name) for test in tests]
    for name in heads(heldout):
        series[f"hold-out {title(name)}"] = [measured.get(name) for measured in heldout]
    for term in _terms([run]):
        series[f"training: {term}"] = [record["terms"].get(term) for record in run.history]
    return {
        "name": run.name,
        "unfinished": run.unfinished,
        "start": run.history[0]["epoch"],
        "series": {name: [_digits(value) for value in values] for name, values in series.items()},
    }


def _loss(runs: Sequence[RecordedRun]) -> dict[str, Any]:
    """Each term's weight times value, epoch by epoch, mean over the seeds that came so far."""
    longest = max(runs, key=lambda run: len(run.history))
    weighted = {
        term: [
            _digits(mean(_part(run.history[i], term) for run in runs if i < len(run.history)))
            for i in range(len(longest.history))
        ]
        for term in _terms(runs)
    }
    return {"start": longest.history[0]["epoch"], "terms": weighted}


def _terms(runs: Sequence[RecordedRun]) -> list[str]:
    """The terms of a row's loss, in their order."""
    return list(dict.fromkeys(term for run in runs for record in run.history for term in record["terms"]))


def _part(record: Epoch, term: str) -> float:
    """A term's part of the loss; 0 in an epoch that leaves it out."""
    return float(record["weights"][term] * record["terms"][term]) if term in record["terms"] else 0.0


def _teachers(rows: Sequence[ReportRow], measure: str) -> list[dict[str, Any]]:
    """Every teacher that was measured once, unless one of the rows is its own training; and learners as they began."""
    own = [(row, run) for row in rows for run in row.runs]
    learned = [(row.spec, run.measured(row.learner, which)) for row, run in own for which in ("last", "best")]
    shown = {(spec, round(measured[measure], 4)) for spec, measured in learned if measure in measured}
    teachers = {}
    for _, run in own:
        for name, measured in run.teachers().items():
            if measure not in measured or (key := (run.spec(name), round(measured[measure], 4))) in shown:
                continue
            costs = {what: run.cost(name, what) for what in COSTS}
            label = f"{name} {run.spec(name) or ''}".strip()
            teachers[key] = {"label": label, "value": measured[measure], **costs}
        for name, measured in run.starts().items():
            if measure in measured:
                label = f"{name} {run.spec(name) or ''} before training"
                costs = {what: run.cost(name, what) for what in COSTS}
                teachers[label, measured[measure]] = {"label": label, "value": measured[measure], **costs}
    return list(teachers.values())


def _look(row: ReportRow, images: list[list[Image]]) -> dict[str, Any] | None:
    """What the first of a row's runs that tells sees in the test images: the learner, then the others of its run."""
    run = next((run for run in row.runs if run.insight and row.learner in run.insight["attention"]), None)
    if run is None or run.insight is None:
        return None
    if run.insight["images"] not in images:
        images.append(run.insight["images"])
    names = [row.learner, *(name for name in run.insight["attention"] if name != row.learner)]
    networks = [
        {
            "name": name if run.spec(name) is None else f"{name} {run.spec(name)}",
            "predictions": run.insight["predictions"].get(name, []),
            "stages": {stage: found["maps"] for stage, found in run.insight["attention"][name].items()},
        }
        for name in names
    ]
    return {"images": images.index(run.insight["images"]), "seed": run.seed, "networks": networks}


def _digits(value: float | None) -> float | None:
    """Five digits are more than a chart shows; None for what is not finite, which JSON has no word for."""
    return float(f"{value:.5g}") if value is not None and math.isfinite(value) else None
