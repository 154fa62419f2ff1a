"""Where the run folders are."""

import os
from collections.abc import Sequence
from pathlib import Path

from potstill.errors import BadInput, nearest
from potstill.runs.names import SIGNS


def find_runs(folders: Sequence[Path]) -> tuple[list[Path], dict[str, str]]:
    """The run folders among ``folders`` and below them, and why a folder could not be looked into.

    Hidden folders are passed over. What lies inside a run, such as the run of one of its stages, belongs to it.

    Raises:
        BadInput: one of ``folders`` does not exist.
    """
    found: dict[Path, Path] = {}  # by the real place: no run counts twice
    closed: dict[str, str] = {}
    for folder in folders:
        if not folder.is_dir():
            raise _missing(folder)
        for place, below, files in os.walk(
            folder, onerror=lambda error: closed.update({str(error.filename): str(error.strerror)})
        ):
            if any(sign in files for sign in SIGNS):
                found.setdefault(Path(place).resolve(), Path(place))
                below.clear()
            below[:] = sorted(name for name in below if not name.startswith("."))
    return list(found.values()), closed


def _missing(folder: Path) -> BadInput:
    if folder.exists():
        return BadInput(f"{folder} is a file; a report is made of run folders")
    names = [path.name for path in folder.parent.glob("*/")]
    near = [str(folder.parent / name) for name in nearest(folder.name, names)]
    return BadInput(f"no folder {str(folder)!r}" + (f"; did you mean {' or '.join(near)}?" if near else ""))
