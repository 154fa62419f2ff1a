"""``compare.json``: what a folder compares, so that the same command goes on and any other one is refused."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from potstill.comparing.comparison import Comparison, given
from potstill.errors import BadInput, shown
from potstill.runs.reading import read_json
from potstill.runs.same_run import NOT_COMPARED
from potstill.strict_json import plain
from potstill.whole_file import write_whole

FILE = "compare.json"
PICKED = "picked"
"""What was found, and not asked: the size that fits into a budget."""


def record_of(comparison: Comparison) -> dict[str, Any]:
    """What makes it the comparison it is: networks, data, training, and the usual terms of each method."""
    kept = {name: value for name, value in given(comparison.training).items() if name not in NOT_COMPARED}
    return {
        "student": comparison.student,
        "student weights": comparison.weights,
        "teacher": given(comparison.teacher),
        "training": {**kept, "seed": comparison.training.seed},
        "methods": {
            row.name: {"recipe": row.recipe, **{k: row.arguments[k] for k in ("first", "terms") if k in row.arguments}}
            for row in comparison.table.rows()[1:]
        },
    }


def read_record(folder: Path) -> dict[str, Any]:
    """What the folder compares; empty where it does not yet.

    Raises:
        BadInput: there is something else, or it is damaged.
    """
    if folder.exists() and not folder.is_dir():
        raise BadInput(f"--out {folder} is no folder")
    if not (folder / FILE).is_file():
        if folder.is_dir() and any(folder.glob("*/seed-*")):
            raise BadInput(f"--out {folder} holds runs of something else than a comparison; choose another folder")
        return {}
    found = read_json(folder / FILE)
    if not isinstance(found, dict) or not isinstance(found.get("methods"), dict):
        raise BadInput(f"{folder / FILE} is damaged: it holds no comparison; choose another --out")
    return found


def check_same(folder: Path, there: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuse to go on with another comparison.

    Seeds may be others, and methods more: fewer would be corrected for fewer than were tried.

    Raises:
        BadInput: it is another one; the message names the first difference.
    """
    if not there:
        return
    asked = json.loads(json.dumps(plain(now)))
    for key in dict.fromkeys(key for key in [*there, *asked] if key != PICKED):
        old: Any = there.get(key)
        new: Any = asked.get(key)
        if key == "methods":
            if missing := [name for name in old if name not in new]:
                raise BadInput(
                    f"--out {folder} also compares {', '.join(missing)}: name them again, since verdicts are corrected "
                    "for all methods that were tried, or choose another folder"
                )
            key, old, new = next(((name, old[name], new[name]) for name in old if old[name] != new[name]), (key, 0, 0))
        if old != new and isinstance(old, dict) and isinstance(new, dict):
            key, old, new = next((k, old.get(k), new.get(k)) for k in [*old, *new] if old.get(k) != new.get(k))
        if old != new:
            what = f"{key.replace('_', ' ')} was {shown(old)} there and is {shown(new)} now"
            raise BadInput(f"--out {folder} is of another comparison: {what}; choose another folder")


def write_record(folder: Path, record: Mapping[str, Any]) -> None:
    """Write it, if it is new."""
    text = json.dumps(plain(dict(record)), indent=2, allow_nan=False).encode()
    if not (folder / FILE).is_file() or (folder / FILE).read_bytes() != text:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / FILE, text)
