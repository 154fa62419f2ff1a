"""A table from beginning to end: what is missing of it is run, then it is written and shown."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from potstill.runs.names import TUNED
from potstill.say import say
from potstill.tables.columns import Column
from potstill.tables.measured import run_missing
from potstill.tables.plan import expand
from potstill.tables.results import Result, collect
from potstill.tables.row import Table
from potstill.tables.sweep import Sweep
from potstill.tables.writing import OF_GAIN, cells, foot, write_table
from potstill.text import in_shell


def run_table(
    name: str,
    table: Table,
    folder: Path,
    *,
    seeds: range,
    only: str | None = None,
    epochs: int | None = None,
    machine: Mapping[str, Any],
    cache: str = "auto",
    columns: Sequence[Column] = (),
    dry_run: bool = False,
    sweep: Sweep = Sweep(),
) -> dict[str, Any]:
    """Run what is missing of a table, write it, and give what a command shows of it.

    Args:
        name: its name.
        table: it.
        folder: of its runs and files.
        seeds: of every row.
        only: rows whose names fit this glob, and their teachers.
        epochs: shorten every run to this length.
        machine: fields of `Training` that all runs have, whatever their rows say.
        cache: ``--teacher-cache`` of the runs.
        columns: further ones.
        dry_run: only give the commands, those of finished runs behind a #.
        sweep: where the runs run.
    """
    rows = table.rows(epochs)
    runs = expand(rows, seeds, folder, machine, only, cache)
    missing = [run for run in runs if not run.is_finished()]
    if dry_run:
        return {
            "commands": [f"{'' if run in missing else '# '}{' '.join(map(in_shell, run.command()))}" for run in runs]
        }
    failures = run_missing(sweep, name, table, folder, machine.get("device", "auto"), missing, len(runs) - len(missing))
    wanted = {run.row.folder for run in runs}
    results = collect(rows, expand(rows, seeds, folder, machine, None), failures, columns)
    shown = [result for result in results if result.row.folder in wanted]
    # The files keep what earlier commands have run, also of rows that --only leaves out this time.
    files = write_files(name, table, folder, [r for r in results if r in shown or r.seeds], epochs, machine)
    content = {**in_two(cells(shown, table.quotes)), "rows": [result.plain() for result in shown]}
    lacking = [run.name for run in missing if run.name not in failures and not run.is_finished()]
    if lacking:
        say(f"{len(lacking)} of {len(runs)} runs are not there yet")
    lines = foot(table, shown, epochs, machine)
    return {"name": name, **content, "foot": lines, "files": files, "failed": failures, "missing": lacking}


def in_two(rows: Sequence[Mapping[str, str]]) -> dict[str, list[dict[str, str]]]:
    """A table's rows, and what each gains over its baseline: side by side few terminals have room for both."""
    table = [{name: cell for name, cell in row.items() if name not in OF_GAIN} for row in rows]
    gains = [{"row": row["row"], **{name: row[name] for name in OF_GAIN}} for row in rows if OF_GAIN[0] in row]
    return {"table": table, "gains": [gain for gain in gains if gain[OF_GAIN[0]] != "-"]}


def write_files(
    name: str,
    table: Table,
    folder: Path,
    results: Sequence[Result],
    epochs: int | None,
    changed: Mapping[str, Any],
) -> dict[str, str]:
    """Write the table and the report of its runs, if there are any; the paths."""
    files, new = write_table(folder, name, table, results, foot(table, results, epochs, changed))
    folders, learners, baselines = {}, {}, {}
    for result in results:
        for learner in result.row.learners if result.folders else ():
            several = len(result.row.learners) > 1  # the better one counts in the table; the report has them all
            label = f"{result.row.name}: {learner}" if several else result.row.name
            folders[label], learners[label] = result.folders, learner
            if result.row.baseline is not None:
                baselines[label] = result.row.baseline
    report = folder / "report.html"
    if folders and (new or not report.is_file()):
        from potstill.report import write_report

        tuned = folder / TUNED
        write_report(report, name, folders, learners, baselines, tuned if tuned.is_file() else None)
    return files | ({report.name: str(report)} if folders else {})
