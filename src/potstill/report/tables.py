"""The tables of a report, as HTML."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from statistics import mean

from potstill.report.labels import UNSAID, plain
from potstill.report.markup import Html, name, table
from potstill.report.rows import ReportRow
from potstill.runs.headline import COSTS, cell, column
from potstill.runs.recorded import RecordedRun
from potstill.runs.spread import Spread
from potstill.text import in_html


def results(rows: Sequence[ReportRow]) -> str:
    """Accuracy and cost of every row: mean ± sample standard deviation over its seeds."""
    measures = list(dict.fromkeys(row.measure for row in rows if row.measure is not None))
    columns = [column(f"{which} epoch", measures) for which in ("last", "best")]
    head = ("row", "seeds", *columns, "network", "parameters", "multiply-adds", "training time")
    lines = []
    for i, row in enumerate(rows):
        counted = row.counted
        accuracies = [cell(row.spread(which), row.measure, measures) for which in ("last", "best")]
        counts = [_count(row.cost(what)) for what in COSTS]
        cells = [Html(name(i, row.label) + _unfinished(row)), str(len(counted)), *accuracies, row.spec or "-", *counts]
        lines.append([*cells, _duration(mean(_seconds(run) for run in counted))])
    return table(head, lines)


def agreement(rows: Sequence[ReportRow]) -> str:
    """How often, and how closely, each learner says what the other networks of its run say; empty if none told."""
    head = ("row", "compared with", "same class, %", "KL, nats", "test images")
    lines = []
    for i, row in enumerate(rows):
        told = [run.insight["agreement"].get(row.learner, {}) for run in row.runs if run.insight]
        for other in dict.fromkeys(key for pairs in told for key in pairs):
            pairs = [found[other] for found in told if other in found]
            spec = row.runs[0].spec(other)
            same, divergence = Spread(tuple(p["top1"] for p in pairs)), Spread(tuple(p["kl"] for p in pairs))
            cells = [name(i, row.label), f"{other} {spec or ''}", same.text(2), divergence.text(4)]
            lines.append([*cells, f"{pairs[0]['n']:,}"])
    return table(head, lines) if lines else ""


def costs(rows: Sequence[ReportRow]) -> str:
    """What the training of each row took; the learners of one run share a line."""
    head = ("row", "seconds a run", "", "images/s", "peak memory", "device")
    own = [(i, row) for i, row in enumerate(rows) if all(row.runs is not other.runs for other in rows[:i])]
    longest = max(mean(_seconds(run) for run in row.counted) for _, row in own)
    lines = []
    for i, row in own:
        seconds = tuple(_seconds(run) for run in row.counted)
        speed = tuple(mean(record["images_per_second"] for record in run.history) for run in row.counted)
        devices = ", ".join(sorted({run.config["device"] for run in row.runs}))
        cells = [
            name(i, row.label),
            Spread(seconds).text(1),
            _bar(mean(seconds), longest),
            Spread(speed).text(0),
        ]
        lines.append([*cells, _memory(row.runs), devices])
    return table(head, lines)


def settings(rows: Sequence[ReportRow]) -> str:
    """Every row's recipe and arguments in full, to be opened."""
    parts = []
    for i, row in enumerate(rows):
        config = row.runs[0].config
        told = {key: value for key, value in config["arguments"].items() if key not in UNSAID}
        arguments = {"recipe": config["recipe"], **told, "seeds": [run.seed for run in row.runs]}
        arguments["run folders"] = [near(run.folder) for run in row.runs]
        items = "".join(
            f"<dt>{in_html(key.replace('_', '-'))}</dt><dd>{in_html(plain(value))}</dd>"
            for key, value in arguments.items()
            if value not in (None, [])
        )
        parts.append(f"<details><summary>{name(i, row.label)}</summary><dl>{items}</dl></details>")
    return "".join(parts)


def left_out(reasons: dict[str, str]) -> str:
    """The folders that are not shown, and why."""
    return table(("folder", "left out because"), [[near(Path(f)), why] for f, why in reasons.items()])


def near(folder: Path) -> str:
    """The end of a path: enough to find it, and nothing about the machine it lay on."""
    return "/".join(folder.parts[-2:]) if not folder.is_absolute() or len(folder.parts) > 2 else folder.name


def _unfinished(row: ReportRow) -> Html:
    """A line for each of a row's runs that has not come to its end."""
    apart = ", not in the mean" if row.counted != row.runs else ""
    told = [f"{run.name}: {run.unfinished}{apart}" for run in row.runs if run.unfinished]
    return Html("".join(f'<br><em class="warning">{in_html(text)}</em>' for text in told))


def _bar(value: float, largest: float) -> Html:
    return Html(f'<span class="bar"><i style="width:{100 * value / max(largest, 1e-9):.1f}%"></i></span>')


def _count(number: int | None) -> str:
    return "-" if number is None else f"{number:,}"


def _seconds(run: RecordedRun) -> float:
    return float(sum(record["seconds"] for record in run.history))


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else str(timedelta(seconds=round(seconds)))


def _memory(runs: Sequence[RecordedRun]) -> str:
    known = [memory for run in runs if run.summary and (memory := run.summary.get("memory"))]
    if not known:
        return "-"
    worst = max(known, key=lambda memory: memory["peak_bytes"])
    return f"{worst['peak_bytes'] / 2**30:.2f} GiB ({worst['of']})"
