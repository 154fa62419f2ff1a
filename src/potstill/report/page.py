"""The page: tables, data, script and style in one file."""

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from potstill.errors import BadInput
from potstill.report import tables
from potstill.report.class_gains import class_gains_section
from potstill.report.content import content
from potstill.report.gains import gains_section, row_gains
from potstill.report.helped import helped, helped_section
from potstill.report.rows import ReportRow, given_rows
from potstill.report.tuning import Tuned, read_tuned, tuning_section
from potstill.runs.headline import COUNT, title
from potstill.runs.names import INSIGHT
from potstill.text import in_html, printable
from potstill.whole_file import write_whole

SCRIPTS = (
    *("charts.js", "curves.js", "forest.js", "shares.js", "scatter.js", "attention.js", "details.js", "helped.js"),
    *("tuning.js", "page.js"),
)
"""In this order."""
ABSENT = f'<p class="missing note">None of these runs recorded it: a single network, or no {INSIGHT}.</p>'


def write_report(
    file: Path,
    title: str,
    runs: Mapping[str, Sequence[Path]],
    learners: Mapping[str, str] | None = None,
    baselines: Mapping[str, str] | None = None,
    tuned: Path | None = None,
) -> Path:
    """Write a report whose rows the caller knows.

    Args:
        file: the HTML file to write.
        title: its heading.
        runs: for each row, the run folders of its seeds. A folder that cannot be read is named on the page.
        learners: for rows of runs with several learners, which one is meant; by default the first.
        baselines: for rows that are compared with another one, the name of that; by default, the rows of the same
            networks that were trained alike but alone.
        tuned: a comparison's ``tune.json``, if there is one.

    Returns:
        ``file``.

    Raises:
        BadInput: not one run can be read.
    """
    return write_page(file, title, *given_rows(runs, learners, baselines), tuned)


def write_page(
    file: Path, title: str, rows: Sequence[ReportRow], left_out: dict[str, str], tuned: Path | None = None
) -> Path:
    """Write a report of ``rows``, with the folders that were ``left_out`` and why; returns ``file``.

    ``tuned`` is a comparison's ``tune.json``: one that is damaged is left out, too.

    Raises:
        BadInput: there is no row; the message tells why.
    """
    if not rows:
        reasons = [f"{folder}: {reason}" for folder, reason in left_out.items()]
        raise BadInput(f"no run to report{''.join(f'; {reason}' for reason in reasons[:3])}")
    gains = row_gains(rows)
    won = helped(rows, gains)
    tried, broken = _tried(tuned)
    left_out = left_out | broken
    shown = content(rows, gains, won, tried)
    parts = {
        "title": in_html(title),
        "facts": in_html(facts(rows)),
        "results": tables.results(rows),
        "gains": gains_section(rows, gains),
        "class_gains": class_gains_section(rows, gains),
        "helped": helped_section(rows, won),
        "tuning": tuning_section(tried),
        "agreement": tables.agreement(rows) or ABSENT,
        "costs": tables.costs(rows),
        "settings": tables.settings(rows),
        "left_out": f"<h2>Left out</h2>{tables.left_out(left_out)}" if left_out else "",
        "footer": in_html(footer(rows)),
        "marks": in_html(marks(shown["teachers"])),
        "measure": in_html(measured(rows)),
        "best": in_html(" and ".join(sorted({_chosen(row) for row in rows}))),
        "style": _part("page.css"),
        "script": "\n".join(_part(script) for script in SCRIPTS),
        "data": as_script(shown),
    }
    write_whole(file, Template(_part("page.html")).substitute(parts).encode())
    return file


def _tried(file: Path | None) -> tuple[Tuned | None, dict[str, str]]:
    """What a comparison tried, or why that cannot be told."""
    if file is None:
        return None, {}
    try:
        return read_tuned(file), {}
    except BadInput as error:
        return None, {str(file): str(error).replace(str(file), file.name)}


def as_script(data: object) -> str:
    r"""JSON that cannot end the script element it stands in.

    >>> as_script("</script>")
    '"\\u003c/script>"'
    """
    return json.dumps(_shown(data), allow_nan=False, separators=(",", ":")).replace("<", r"\u003c")


def _shown(data: object) -> object:
    """The same with texts that a page can show."""
    if isinstance(data, Mapping):
        return {printable(str(key)): _shown(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_shown(value) for value in data]
    return printable(data) if isinstance(data, str) else data


def facts(rows: Sequence[ReportRow]) -> str:
    """Data set, epochs and runs in one line."""
    runs = list({run.folder: run for row in rows for run in row.runs}.values())
    data = ", ".join(sorted({row.data for row in rows}))
    epochs = sorted({len(run.history) for run in runs})
    length = f"{epochs[0]} epochs" if len(epochs) == 1 else f"{epochs[0]} to {epochs[-1]} epochs"
    tests = [splits["test"] for run in runs for splits in run.history[-1]["learners"].values()]
    images = sorted({test[COUNT] for test in tests if COUNT in test})
    measured = [f"{' or '.join(f'{n:,}' for n in images)} test images"] if images else []
    return " · ".join([data, length, f"{_many(len(rows), 'row')} from {_many(len(runs), 'run')}", *measured])


def measured(rows: Sequence[ReportRow]) -> str:
    """What the rows are measured by, in words."""
    names = dict.fromkeys(title(row.measure).removesuffix(", %") for row in rows if row.measure is not None)
    words = " or ".join(names) or "nothing"
    return words[0].upper() + words[1:]


def marks(teachers: Sequence[Mapping[str, Any]]) -> str:
    """What the marks mean: a hollow one is a teacher that is no row of its own, or a beginning; there may be none."""
    hollow = "hollow marks are teachers that have no row of their own, and networks before training"
    return hollow if teachers else "each mark has its row's colour"


def footer(rows: Sequence[ReportRow]) -> str:
    """The commits, versions and devices that the runs name."""
    configs = [run.config for row in rows for run in row.runs]
    commits = sorted({_commit(str(config.get("commit") or "unknown")) for config in configs})
    versions = sorted({f"{name} {version}" for config in configs for name, version in config["versions"].items()})
    devices = sorted({config["device"] for config in configs})
    return f"commit {', '.join(commits)} · {', '.join(versions)} · {', '.join(devices)}"


def _commit(name: str) -> str:
    digest, dash, changed = name.partition("-")
    return digest[:10] + dash + changed


def _chosen(row: ReportRow) -> str:
    summaries = [run.summary for run in row.runs if run.summary is not None]
    on = summaries[0]["best_chosen_on"] if summaries else "test"
    return "the test images themselves" if on == "test" else "held-out training images"


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _part(name: str) -> str:
    return (files("potstill.report") / name).read_text(encoding="utf-8")
