"""What is wrong with a run folder, file by file."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from potstill.errors import BadInput
from potstill.runs import manifest
from potstill.runs.digests import there
from potstill.runs.names import (
    CHECKPOINT,
    CONFIG,
    DETAILS,
    INSIGHT,
    MANIFEST,
    METRICS,
    PREVIOUS,
    SIGNS,
    SOURCE,
    SUMMARY,
    WEIGHTS,
)
from potstill.runs.names import weights as weights_name
from potstill.runs.reading import read_config, read_details, read_history, read_insight, read_summary
from potstill.runs.recorded import read_run

Load = Callable[[Path], object]
"""Opens a file of weights or a checkpoint; raises BadInput if that cannot be done."""


@dataclass
class Audit:
    """What was found in a run folder; ``problems`` says what is wrong, by the names of the files."""

    folder: Path
    files: int = 0
    problems: dict[str, str] = field(default_factory=dict)
    verified: bool = True
    """Whether there is a manifest to compare with: runs of earlier versions have none."""
    finished: bool = False

    def blame(self, name: str, error: BadInput) -> None:
        """Note what is wrong with a file, in words without the folder; what was found first is the cause."""
        self.problems.setdefault(name, str(error).replace(f"{self.folder}{os.sep}", ""))


def find_folders(folders: Iterable[Path]) -> list[Path]:
    """The run folders among ``folders`` and below them, those of the stages of a run included.

    Raises:
        BadInput: one of ``folders`` does not exist.
    """
    found: dict[Path, None] = {}
    for folder in folders:
        if not folder.is_dir():
            raise BadInput(f"no folder {str(folder)!r}")
        for place, below, files in os.walk(folder):
            below[:] = sorted(name for name in below if not name.startswith("."))
            if {*SIGNS, MANIFEST} & {*files, *below}:
                found[Path(place)] = None
    return list(found)


def audit(folder: Path, load_weights: Load, load_checkpoint: Load) -> Audit:
    """Check a run folder: digests, what the files say, whether they fit together, and that weights load."""
    found = Audit(folder)
    try:
        listed = manifest.read(folder)
    except BadInput as error:
        found.blame(MANIFEST, error)
        return found
    found.verified = listed is not None
    names = [] if listed is None else list(listed["files"])
    for name in names:
        _try(found, name, lambda name=name: manifest.verify_in(folder, name))  # type: ignore[misc]
    _forgive_removed_checkpoints(found)
    if listed is not None:
        for name in _lying(folder):
            if name not in names:
                found.problems[name] = f"{name} is not the run's: {MANIFEST} does not list it"
    found.files = len({*names, *_lying(folder)})
    _check_texts(found)
    for name in _lying(folder):
        load = load_weights if name.endswith(WEIGHTS) else load_checkpoint if name in (CHECKPOINT, PREVIOUS) else None
        if load is not None and name not in found.problems:
            _try(found, name, lambda name=name, load=load: load(folder / name))  # type: ignore[misc]
    return found


def _try(found: Audit, name: str, check: Callable[[], object]) -> None:
    try:
        check()
    except BadInput as error:
        found.blame(name, error)


def _forgive_removed_checkpoints(found: Audit) -> None:
    """Who has a finished run does not need them."""
    if (found.folder / SUMMARY).is_file():
        for name in (CHECKPOINT, PREVIOUS):
            if name in found.problems and not os.path.lexists(found.folder / name):
                del found.problems[name]


def _check_texts(found: Audit) -> None:
    """What the files in JSON say, and whether it fits together."""
    folder, sound = found.folder, len(found.problems)
    _try(found, CONFIG, lambda: read_config(folder))
    if os.path.lexists(folder / METRICS) and (folder / METRICS).stat().st_size:
        _try(found, METRICS, lambda: read_history(folder))
    _try(found, SUMMARY, lambda: read_summary(folder))
    _try(found, INSIGHT, lambda: read_insight(folder))
    _try(found, DETAILS, lambda: read_details(folder))
    if len(found.problems) > sound or found.problems.keys() & {*SIGNS, INSIGHT, DETAILS}:
        return
    found.finished = read_summary(folder) is not None
    if found.finished:
        _try(found, SUMMARY, lambda: read_run(folder))
        for name in read_run(folder).learners if SUMMARY not in found.problems and found.verified else ():
            if not there(folder / weights_name(name)):
                found.problems.setdefault(weights_name(name), f"{weights_name(name)} is missing")


def _lying(folder: Path) -> list[str]:
    """The files of a run that lie in a folder: not its logs, nor what was made of it later."""
    flat = [path.name for path in sorted(folder.iterdir()) if path.suffix in (WEIGHTS, ".ckpt") or path.name in SIGNS]
    return [*flat, *(path.relative_to(folder).as_posix() for path in manifest.files_below(folder / SOURCE))]
