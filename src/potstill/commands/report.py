"""``potstill report``: one HTML file of what runs have measured."""

from pathlib import Path
from typing import Any

from potstill.errors import BadInput
from potstill.runs.names import CONFIG, TUNED


def report(folders: tuple[Path, ...], /, *, out: Path | None = None, title: str | None = None) -> dict[str, Any]:
    """Write a report of runs: table, curves, cost, agreement and attention maps in one HTML file.

    Runs that differ only in their seeds are one row. Folders that cannot be read are named, and the rest is shown.

    Args:
        folders: run folders, or folders in which run folders lie.
        out: the file to write; by default report.html in the first folder.
        title: its heading.
    """
    from potstill.report import find_runs, found_rows, write_page

    if not folders:
        raise BadInput("report needs a folder: potstill report DIR")
    found, closed = find_runs(folders)
    rows, broken = found_rows(found)
    left_out = closed | broken
    if not found and not closed:
        raise BadInput(f"no run folder in {' '.join(map(str, folders))}; a run folder holds a {CONFIG}")
    heading = title or f"Runs on {', '.join(sorted({row.data for row in rows}))}"
    tuned = next((folder / TUNED for folder in folders if (folder / TUNED).is_file()), None)
    file = write_page(out or folders[0] / "report.html", heading, rows, left_out, tuned)
    runs = {run.folder for row in rows for run in row.runs}
    return {"report": str(file), "rows": len(rows), "runs": len(runs), "left_out": left_out}
