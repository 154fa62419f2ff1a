"""``potstill verify``: whether run folders are what they were when they were made."""

from pathlib import Path
from typing import Any

from potstill.errors import BadInput
from potstill.runs.audit import audit, find_folders
from potstill.runs.names import CONFIG


def verify(folders: tuple[Path, ...], /) -> dict[str, Any]:
    """Check run folders, and say what is wrong with which file: damaged, edited, missing, or not the run's.

    Sizes and digests are compared with the folder's manifest; what the files say must fit together, and weights and
    checkpoints must load. Runs of earlier versions have no manifest: of theirs, only the rest is checked. Nothing is
    changed, and no code of a run is run. The exit code is 2 if anything is wrong.

    Args:
        folders: run folders, or folders in which run folders lie, such as a table's.
    """
    if not folders:
        raise BadInput("verify needs a folder: potstill verify DIR")
    found = find_folders(folders)
    if not found:
        raise BadInput(f"no run folder in {' '.join(map(str, folders))}; a run folder holds a {CONFIG}")
    audits = [audit(folder, _load_weights, _load_checkpoint) for folder in found]
    rows = []
    for one in audits:
        rows += [{"folder": str(one.folder), "file": name, "found": words} for name, words in one.problems.items()]
        if not one.problems:
            state = "sound" if one.verified else "made by an earlier version, its files cannot be verified"
            end = "" if one.finished else ", unfinished"
            rows.append({"folder": str(one.folder), "file": f"{one.files} files", "found": state + end})
    plain = {
        str(one.folder): {
            "files": one.files,
            "verified": one.verified,
            "finished": one.finished,
            "problems": one.problems,
        }
        for one in audits
    }
    wrong = sum(len(one.problems) for one in audits)
    return {"table": rows, "checked": [plain], "files": sum(one.files for one in audits), "wrong": wrong}


def _load_weights(file: Path) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        load(file.read_bytes())
    except (SafetensorError, OSError) as error:
        raise BadInput(f"{file} is damaged: {error}") from error


def _load_checkpoint(file: Path) -> None:
    import torch

    from potstill.engine.checkpoint import load_checkpoint

    load_checkpoint(file, torch.device("cpu"))
