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
    return json.dumps(plain(value, finite=True), allow_nan=False)


def plain(value: Any, finite: bool = False) -> Any:
    """What JSON knows in the place of anything else: tensors as lists, paths as text; ``finite``: null for nan and inf.

    >>> from pathlib import Path
    >>> plain({1: {"a path": Path("x")}, "nothing": float("inf")})
    {'1': {'a path': 'x'}, 'nothing': inf}
    """
    if isinstance(value, float):
        return float(value) if math.isfinite(value) or not finite else None
    if isinstance(value, str | bool | int | None):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item, finite) for key, item in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name), finite) for field in fields(value)}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item, finite) for item in value]
    if hasattr(value, "tolist"):  # tensors and numpy's
        return plain(value.tolist(), finite)
    return str(value)
