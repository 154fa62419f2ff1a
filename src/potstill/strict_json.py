"""JSON as its standard has it, of whatever a command returns."""

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any


def strict(value: object) -> str:
    """One line of JSON. A number that is not finite, for which JSON has no word, is null.

    >>> strict({"loss": float("nan"), "tops": (93.1, float("inf"))})
    '{"loss": null, "tops": [93.1, null]}'
    """
    return json.dumps(_plain(value), allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, str | bool | int | None):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):  # tensors and numpy's
        return _plain(value.tolist())
    return str(value)
