"""A table as text: in Markdown, in CSV, in JSON, and as cells for a terminal."""

import csv
import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import ascii_lowercase
from typing import Any

from potstill.runs.headline import ACCURACY, cell, column, digits, title
from potstill.runs.spread import Spread
from potstill.statistics import LEVEL
from potstill.strict_json import plain
from potstill.tables.columns import COLUMNS, Column
from potstill.tables.results import Result
from potstill.tables.row import Table
from potstill.text import in_csv, in_markdown
from potstill.whole_file import write_whole

CSV_HEAD = (
    *("row", "seeds", "parameters", "last_mean", "last_std", "best_mean", "best_std"),
    *("baseline", "paired_seeds", "gain", "gain_low", "gain_high", "gain_p", "gain_p_holm", "verdict", "further_seeds"),
    *("published", "source", "protocol", "difference", "problem"),
)
IN_CSV = {
    "gain": "mean",
    "gain_low": "low",
    "gain_high": "high",
    "gain_p": "p",
    "gain_p_holm": "p_holm",
    "baseline": "baseline",
    "verdict": "verdict",
    "further_seeds": "further_seeds",
}
"""Columns of CSV, and what they hold of a row's gain."""
OF_GAIN = ("baseline", "gain", "verdict")
"""Columns of what a row gains."""

UNDER_GAINS = {
    "gain": "ours minus the baseline's, in points, after the last epoch, in runs of the same seeds: mean "
    f"({100 * (1 - LEVEL):g} % interval of Student's t, each row by itself)",
    "verdict": f"BETTER or WORSE where p is {100 * LEVEL:g} % or less after Holm's correction over the rows with one "
    "baseline; more seeds: as many as would decide, if mean and spread stay as they are",
}
"""What stands under a table that has gains."""


UNDER_COSTS = (
    "the median epoch's steps, and the most memory in use; x: times the baseline's. Runs beside each other slow each "
    "other down, so ratios are of runs that had the machine alike"
)


def cells(results: Sequence[Result], quotes: bool = True) -> list[dict[str, str]]:
    """The table's cells as text; published numbers have columns of their own, with a letter for their source.

    Args:
        results: its rows.
        quotes: whether it has such columns.
    """
    letters = sources(results)
    trouble = any(result.problems for result in results)
    compared = any(result.gain is not None for result in results)
    measures = _measures(results)
    last, best = (column(f"{which} epoch", measures) for which in ("last", "best"))
    rows = []
    for result in results:
        row = {
            "row": result.row.name,
            "seeds": str(len(result.seeds)),
            "parameters": "-" if result.parameters is None else f"{result.parameters:,}",
            last: cell(result.last, result.measure, measures),
            best: cell(result.best, result.measure, measures),
            **_further(result),
            **(_gain(result) if compared else {}),
            **(_quoted(result, letters) if quotes else {}),
        }
        rows.append(row | ({"problem": "; ".join(result.problems)} if trouble else {}))
    return rows


def _further(result: Result) -> dict[str, str]:
    """The cells of the further columns."""
    told = {}
    for name, spread in result.columns.items():
        times = result.times_baseline.get(name)
        text = "-" if spread is None else spread.text(COLUMNS[name].digits)
        told[COLUMNS[name].heading] = text + ("" if times is None else f" ({times:.2f} x)")
    return told


def _quoted(result: Result, letters: Mapping[tuple[str, str], str]) -> dict[str, str]:
    """The cells of the published numbers."""
    quotes = result.row.published
    differences = [result.difference(quote) for quote in quotes]
    return {
        "published, %": ", ".join(f"{q.value:.2f} ({letters[q.source, q.protocol]})" for q in quotes) or "-",
        "difference": ", ".join("-" if d is None else f"{d:+.2f}" for d in differences) or "-",
    }


def _gain(result: Result) -> dict[str, str]:
    """The cells of a row's gain over its baseline."""
    if result.gain is None or result.measure is None:
        return dict.fromkeys(OF_GAIN, "-")
    gain = result.gain
    return {"baseline": gain.baseline, "gain": gain.text(digits(result.measure)), "verdict": str(gain.judged)}


def sources(results: Sequence[Result]) -> dict[tuple[str, str], str]:
    """A letter for every pair of source and protocol among the published numbers."""
    pairs = dict.fromkeys((quote.source, quote.protocol) for result in results for quote in result.row.published)
    return dict(zip(pairs, ascii_lowercase, strict=False))


def foot(table: Table, results: Sequence[Result], epochs: int | None, changed: Mapping[str, Any]) -> dict[str, str]:
    """What stands under the table: how it came about, and what may be compared with what.

    ``changed`` are the fields of `Training` that all runs have by the command, whatever their rows say.
    """
    seeds = sorted({seed for result in results for seed in result.seeds})
    commits = Counter(commit for result in results if result.row.runs_of is None for commit in result.commits)
    lines = {"data": table.data, "protocol": table.protocol, "epochs": str(table.epochs)}
    if epochs is not None and epochs != table.epochs:
        lines["epochs"] = f"shortened to {epochs} of {table.epochs} epochs: not comparable with published values"
    if holdout := changed.get("holdout"):
        lines["holdout"] = f"best epochs are chosen on {holdout} held-out training images, not on the test set"
    if images := changed.get("images"):
        lines["images"] = f"trained on {images} of the training images only: not comparable with published values"
    if images := changed.get("test_images"):
        lines["test images"] = f"measured on {images} of the test images only, the same ones in every run"
    lines["seeds"] = ", ".join(map(str, seeds)) or "none yet"
    lines["commits"] = ", ".join(f"{commit} ({count} runs)" for commit, count in commits.items()) or "none yet"
    measured = " or ".join(map(title, _measures(results))) or title(ACCURACY)
    lines["accuracies"] = f"{measured} of the test images: mean ± standard deviation over the seeds"
    if any(result.gain is not None for result in results):
        lines |= UNDER_GAINS
    if any(result.times_baseline for result in results):
        lines["costs"] = UNDER_COSTS
    if not table.quotes:
        return lines
    lines["published"] = "quoted, not our own: " + (
        "; ".join(f"({letter}) {source}: {protocol}" for (source, protocol), letter in sources(results).items())
        or "nothing for these rows"
    )
    lines["difference"] = "ours minus published, in points: our best epoch where they report theirs, else our last"
    return lines


def write_table(
    out: Path, title: str, table: Table, results: Sequence[Result], lines: Mapping[str, str]
) -> tuple[dict[str, str], bool]:
    """Write ``table.md``, ``table.csv`` and ``table.json``.

    Returns:
        Their paths by kind, and whether anything in them is new.
    """
    told = {"name": title, "rows": [result.plain() for result in results], "foot": lines}
    content = {
        "table.md": _markdown(title, table.sentence, cells(results, table.quotes), lines),
        "table.csv": _csv(results),
        "table.json": json.dumps(plain(told, finite=True), indent=2, allow_nan=False),
    }
    out.mkdir(parents=True, exist_ok=True)
    changed = False
    for name, text in content.items():
        file = out / name
        if not file.is_file() or file.read_text(encoding="utf-8") != text:
            write_whole(file, text.encode())
            changed = True
    return {name: str(out / name) for name in content}, changed


def _asked(results: Sequence[Result]) -> list[Column]:
    """The further columns, each once."""
    return list(dict.fromkeys(name for result in results for name in result.columns))


def _measures(results: Sequence[Result]) -> list[str]:
    """What the rows are measured by, each once."""
    return list(dict.fromkeys(result.measure for result in results if result.measure is not None))


def _markdown(title: str, sentence: str, rows: Sequence[Mapping[str, str]], lines: Mapping[str, str]) -> str:
    head = list(rows[0])
    table = [head, ["---", *["---:"] * (len(head) - 1)], *(list(row.values()) for row in rows)]
    text = ["| " + " | ".join(map(in_markdown, row)) + " |" for row in table]
    return "\n".join(
        [f"# {title}", "", sentence, "", *text, "", *(f"- {k}: {in_markdown(v)}" for k, v in lines.items()), ""]
    )


def _csv(results: Sequence[Result]) -> str:
    """One line for each row; several published numbers are separated by semicolons."""
    text = io.StringIO()
    further = [f"{name}_{what}" for name in _asked(results) for what in ("mean", "std")]
    writer = csv.DictWriter(text, [*CSV_HEAD, *further], lineterminator="\n")
    writer.writeheader()
    for result in results:
        quotes = result.row.published
        columns: dict[str, Sequence[object]] = {
            "published": [quote.value for quote in quotes],
            "source": [quote.source for quote in quotes],
            "protocol": [quote.protocol for quote in quotes],
            "difference": [result.difference(quote) for quote in quotes],
            "problem": result.problems,
        }
        line = {name: ";".join("" if v is None else str(v) for v in values) for name, values in columns.items()}
        spreads: list[tuple[str, Spread | None]] = [("last", result.last), ("best", result.best)]
        for name, spread in [*spreads, *result.columns.items()]:
            if spread is not None:
                line |= {f"{name}_mean": str(spread.mean), f"{name}_std": str("" if spread.std is None else spread.std)}
        if result.gain is not None:
            gain: Mapping[str, Any] = result.gain.plain()
            line |= {name: "" if gain[key] is None else str(gain[key]) for name, key in IN_CSV.items()}
            line["paired_seeds"] = str(len(gain["seeds"]))
        parameters = "" if result.parameters is None else str(result.parameters)
        cells = {"row": result.row.name, "seeds": str(len(result.seeds)), "parameters": parameters, **line}
        writer.writerow({name: in_csv(cell) for name, cell in cells.items()})
    return text.getvalue()
