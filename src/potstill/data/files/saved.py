"""Image sets that Hugging Face's `datasets` has saved to disk: a folder of Arrow files, with what they are in JSON.

`datasets` is not needed to read them: https://huggingface.co/docs/datasets/process#save.
"""

import json
from pathlib import Path
from typing import Any

from potstill.data.files.names import TRAIN
from potstill.errors import BadInput

SPLITS, STATE = "dataset_dict.json", "state.json"


def find_saved(root: Path) -> dict[str, list[Path]] | None:
    """The Arrow files of each split in ``root``, in order; of one without splits they are called train.

    None if nothing was saved there.

    Raises:
        BadInput: it is damaged, or a file is missing.
    """
    if (root / SPLITS).is_file():
        names = _read(root / SPLITS).get("splits")
        if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
            raise BadInput(f"{root / SPLITS} names no splits")
        return {name: _files(root / name) for name in names}
    return {TRAIN[0]: _files(root)} if (root / STATE).is_file() else None


def _files(folder: Path) -> list[Path]:
    """The files of a split."""
    listed = _read(folder / STATE).get("_data_files")
    try:
        files = [folder / Path(entry["filename"]).name for entry in listed or ()]
    except (TypeError, KeyError) as error:
        raise BadInput(f"{folder / STATE} names no files") from error
    if missing := [file for file in files if not file.is_file()]:
        raise BadInput(f"{missing[0]} is missing, though {folder / STATE} lists it")
    if not files:
        raise BadInput(f"{folder / STATE} names no files")
    return files


def _read(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(f"{file} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise BadInput(f"{file} is damaged: it holds no object")
    return content
