"""What the charts are drawn from, as plain JSON."""

import math
from collections.abc import Sequence
from statistics import mean, stdev
from typing import Any

from potstill.report.rows import Row, baseline
from potstill.report.runs import Run


def content(rows: Sequence[Row]) -> dict[str, Any]:
    """Curves, shares of the loss, costs and attention maps of all rows."""
    images: list[Any] = []  # sets of test images, each kept once
    return {
        "rows": [_row(row, rows, images) for row in rows],
        "teachers": _teachers(rows),
        "images": images,
    }


def spread(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean and sample standard deviation; the latter None of a single value."""
    return mean(values), stdev(values) if len(values) > 1 else None


def cost(row: Row, what: str) -> int | None:
    """A row's ``parameters`` or ``macs``; None where its runs did not count them."""
    return next((number for run in row.runs if (number := run.known(row.learner).get(what)) is not None), None)


def _row(row: Row, rows: Sequence[Row], images: list[Any]) -> dict[str, Any]:
    top1, deviation = spread([run.top1(row.learner, "last") for run in row.counted])
    alone = baseline(row, rows)
    return {
        "label": row.label,
        "network": row.spec,
        **{what: cost(row, what) for what in ("parameters", "macs")},
        "top1": top1,
        "deviation": deviation,
        "seeds": [_curves(run, row.learner) for run in row.runs],
        "loss": None if any(r.runs is row.runs for r in rows[: rows.index(row)]) else _loss(row.runs),
        "baseline": None if alone is None else rows.index(alone),
        "look": _look(row, images),
    }


def _curves(run: Run, learner: str) -> dict[str, Any]:
    """Everything measured once an epoch, by name."""
    results = [record["learners"][learner] for record in run.history]
    series = {
        "test top-1, %": [splits["test"]["top1"] for splits in results],
        "test loss, nats": [splits["test"]["loss"] for splits in results],
    }
    if all(splits.get("holdout") for splits in results):
        series["hold-out top-1, %"] = [splits["holdout"]["top1"] for splits in results]
    for term in _terms([run]):
        series[f"training: {term}"] = [record["terms"].get(term) for record in run.history]
    return {
        "name": run.name,
        "unfinished": run.unfinished,
        "start": run.history[0]["epoch"],
        "series": {name: [_digits(value) for value in values] for name, values in series.items()},
    }


def _loss(runs: Sequence[Run]) -> dict[str, Any]:
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


def _terms(runs: Sequence[Run]) -> list[str]:
    """The terms of a row's loss, in their order."""
    return list(dict.fromkeys(term for run in runs for record in run.history for term in record["terms"]))


def _part(record: dict[str, Any], term: str) -> float:
    """A term's part of the loss; 0 in an epoch that leaves it out."""
    return float(record["weights"][term] * record["terms"][term]) if term in record["terms"] else 0.0


def _teachers(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Every teacher once, unless one of the rows is its own training."""
    own = [(row, run) for row in rows for run in row.runs]
    shown = {(row.spec, round(run.top1(row.learner, which), 4)) for row, run in own for which in ("last", "best")}
    teachers = {}
    for _, run in own:
        for name, measured in (run.summary or {"teachers": {}})["teachers"].items():
            key = (run.spec(name), round(measured["top1"], 4))
            if key not in shown:
                costs = {what: measured.get(what) for what in ("parameters", "macs")}
                label = f"{name} {run.spec(name) or ''}".strip()
                teachers[key] = {"label": label, "top1": measured["top1"], **costs}
    return list(teachers.values())


def _look(row: Row, images: list[Any]) -> dict[str, Any] | None:
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
            "predictions": run.insight["predictions"][name],
            "stages": {stage: found["maps"] for stage, found in run.insight["attention"][name].items()},
        }
        for name in names
    ]
    return {"images": images.index(run.insight["images"]), "seed": run.seed, "networks": networks}


def _digits(value: float | None) -> float | None:
    """Five digits are more than a chart shows; None for what is not finite, which JSON has no word for."""
    return float(f"{value:.5g}") if value is not None and math.isfinite(value) else None
