"""The arguments of a run as its ``config.json`` keeps them, and the folder that follows from them."""

import json
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from potstill.runs.same_run import NOT_COMPARED
from potstill.runs.schema import Arguments
from potstill.training import Training


def recipe_of(record: Mapping[str, Any]) -> str:
    """The recipe that a record names; ``fit`` where somebody called that by hand."""
    return str(record.get("recipe", "fit"))


def plain_arguments(record: Mapping[str, Any], training: Training) -> Arguments:
    """Every argument of a run, of its recipe and of its training, as JSON has it."""
    own = {key: value for key, value in record.items() if key not in ("recipe", "training")}
    plain: Arguments = _plain({**own, **asdict(training)})
    return plain


def default_folder(record: Mapping[str, Any], training: Training) -> Path:
    """Where a run goes that is not told: the same configuration always to the same place, so that it resumes."""
    recipe, arguments = recipe_of(record), plain_arguments(record, training)
    compared = {key: value for key, value in arguments.items() if key not in NOT_COMPARED}
    digest = sha256(json.dumps([recipe, compared], sort_keys=True).encode()).hexdigest()
    return Path("runs") / f"{recipe}-{digest[:10]}"


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)
