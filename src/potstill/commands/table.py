"""``potstill table``: a published table, run as far as it is missing, and printed beside the published numbers."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from potstill import tables
from potstill.errors import unknown
from potstill.ranges import Epochs, Range
from potstill.selection import Subset
from potstill.tables.columns import Column
from potstill.tables.running import run_table
from potstill.tables.sweep import Sweep
from potstill.training import Training

if TYPE_CHECKING:
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
    return run_table(
        name,
        found,
        folder,
        seeds=range(seeds),
        only=only,
        epochs=epochs,
        machine=machine,
        cache=teacher_cache,
        columns=columns,
        dry_run=dry_run,
        sweep=sweep,
    )


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
