"""``potstill table``: a published table, run as far as it is missing, and printed beside the published numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from potstill import tables
from potstill.errors import unknown
from potstill.ranges import Epochs, Range
from potstill.say import say
from potstill.selection import Subset
from potstill.tables.columns import Column
from potstill.tables.measured import run_missing
from potstill.tables.plan import expand
from potstill.tables.results import collect
from potstill.tables.sweep import Sweep
from potstill.tables.writing import OF_GAIN, cells, foot, write_table
from potstill.text import in_shell
from potstill.training import Training

if TYPE_CHECKING:
    from potstill.tables.results import Result
    from potstill.tables.row import Table


def table(
    name: str,
    /,
    *,
    seeds: Annotated[int, Range(1, 1000)] = 3,
    only: str | None = None,
    epochs: Epochs | None = None,
    out: Path | None = None,
    device: str = "auto",
    precision: Literal["fp32", "bf16", "auto"] = "fp32",
    compile: bool = False,
    teacher_cache: str = "auto",
    columns: tuple[Column, ...] = (),
    dry_run: bool = False,
    sweep: Sweep = Sweep(),
    data: Subset = Subset(),
) -> dict[str, Any]:
    """Run what is missing of a published table, rows times seeds, and print it: our numbers beside the published.

    Every run is a command of its own, in a folder of its own, and resumes by itself: started again, the same command
    goes on where it was. Teachers are rows too, trained once. A run that fails leaves a gap that says why, and exit
    code 3. A row with help shows what it gains over its student alone, seed by seed, and the verdict: BETTER, WORSE or
    UNDECIDED. With fewer epochs or images, the numbers are no longer comparable with anything.

    Args:
        name: which table; see potstill list tables.
        seeds: how many runs each row has, with seeds 0, 1, 2, ...
        only: rows whose names fit this glob, and their teachers: "cifar10-*", "*-at".
        epochs: shorten every run to this length, and whatever depends on it.
        out: folder of the runs and of table.md, table.csv, table.json, report.html; by default one under runs/.
        device: cpu, cuda, cuda:1, ...; auto takes a GPU if there is one.
        precision: bf16: networks compute in bfloat16; weights and losses stay in float32. auto: what each run finds.
        compile: compile the networks with torch.compile.
        teacher_cache: keep teachers' answers, exact, for all runs that ask the same, where that pays; in the table's
            folder, or in DIR or a file that pack wrote; or off.
        columns: further ones: ece, nll, agreement with the teacher; "-" where runs have not recorded it.
        dry_run: only print the commands, those of finished runs behind a #.
    """
    found = find_table(name)
    folder = out or Path("runs") / (name if epochs in (None, found.epochs) else f"{name}-{epochs}-epochs")
    flags: dict[str, Any] = {**asdict(data), "device": device, "precision": precision, "compile": compile}
    machine = {flag: value for flag, value in flags.items() if value != getattr(Training(), flag)}
    rows = found.rows(epochs)
    runs = expand(rows, seeds, folder, machine, only, teacher_cache)
    missing = [run for run in runs if not run.is_finished()]
    if dry_run:
        return {
            "commands": [f"{'' if run in missing else '# '}{' '.join(map(in_shell, run.command()))}" for run in runs]
        }
    failures = run_missing(sweep, name, found, folder, device, missing, len(runs) - len(missing))
    wanted = {run.row.folder for run in runs}
    results = collect(rows, expand(rows, seeds, folder, machine, None), failures, columns)
    shown = [result for result in results if result.row.folder in wanted]
    # The files keep what earlier commands have run, also of rows that --only leaves out this time.
    files = write_files(name, found, folder, [r for r in results if r in shown or r.seeds], epochs, machine)
    content = {**in_two(cells(shown)), "rows": [result.plain() for result in shown]}
    lacking = [run.name for run in missing if run.name not in failures and not run.is_finished()]
    if lacking:
        say(f"{len(lacking)} of {len(runs)} runs are not there yet")
    lines = foot(found, shown, epochs, machine)
    return {"name": name, **content, "foot": lines, "files": files, "failed": failures, "missing": lacking}


def in_two(rows: Sequence[Mapping[str, str]]) -> dict[str, list[dict[str, str]]]:
    """A table's rows, and what each gains over its baseline: side by side few terminals have room for both."""
    table = [{name: cell for name, cell in row.items() if name not in OF_GAIN} for row in rows]
    gains = [{"row": row["row"], **{name: row[name] for name in OF_GAIN}} for row in rows if OF_GAIN[0] in row]
    return {"table": table, "gains": [gain for gain in gains if gain[OF_GAIN[0]] != "-"]}


def find_table(name: str) -> "Table":
    """The table of that name.

    Raises:
        BadInput: there is none; the message names the nearest.
    """
    known = {attribute.replace("_", "-"): attribute for attribute in tables.__all__}
    if name not in known:
        raise unknown("table", name, known)
    found: Table = getattr(tables, known[name])
    return found


def write_files(
    name: str,
    found: "Table",
    folder: Path,
    results: "Sequence[Result]",
    epochs: int | None,
    changed: Mapping[str, Any],
) -> dict[str, str]:
    """Write the table and the report of its runs, if there are any; the paths."""
    files, new = write_table(folder, name, found, results, foot(found, results, epochs, changed))
    folders, learners = {}, {}
    for result in results:
        for learner in result.row.learners if result.folders else ():
            several = len(result.row.learners) > 1  # the better one counts in the table; the report has them all
            label = f"{result.row.name}: {learner}" if several else result.row.name
            folders[label], learners[label] = result.folders, learner
    report = folder / "report.html"
    if folders and (new or not report.is_file()):
        from potstill.report import write_report

        write_report(report, name, folders, learners)
    return files | ({report.name: str(report)} if folders else {})
