"""Whether a JSON value has the shape that a page is made from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Each:
    """An object with any keys, each of whose values has the same shape."""

    shape: Any


NUMBER = (int, float)


def check(value: Any, shape: Any, place: str = "it") -> None:
    """Compare ``value`` with ``shape``: a type or several, [shape of each item], {key: shape}, or `Each`.

    An object may have more keys than its shape; one that ends in ``?`` may be missing or null.

    Raises:
        ValueError: it differs; the message names the first place that does.

    >>> check({"top1": 93.1}, {"top1": NUMBER, "loss?": NUMBER})
    >>> check({"a": [1, "2"]}, Each([NUMBER]))
    Traceback (most recent call last):
    ValueError: a.1 is '2', not a number
    """
    if isinstance(shape, Each):
        _must_be(value, dict, place)
        for name, part in value.items():
            check(part, shape.shape, _inside(place, name))
    elif isinstance(shape, Mapping):
        _must_be(value, dict, place)
        for key, part in shape.items():
            name, optional = key.removesuffix("?"), key.endswith("?")
            if name not in value and not optional:
                raise ValueError(f"{_inside(place, name)} is missing")
            if not optional or value.get(name) is not None:
                check(value[name], part, _inside(place, name))
    elif isinstance(shape, list):
        _must_be(value, list, place)
        for i, item in enumerate(value):
            check(item, shape[0], f"{place}.{i}")
    else:
        _must_be(value, shape, place)


def _inside(place: str, name: str) -> str:
    return name if place == "it" else f"{place}.{name}"


def _must_be(value: Any, kind: Any, place: str) -> None:
    names = {dict: "an object", list: "a list", str: "a string", int: "a whole number", NUMBER: "a number"}
    if not isinstance(value, kind) or isinstance(value, bool):
        shown = repr(value)
        raise ValueError(f"{place} is {shown if len(shown) < 40 else shown[:40] + '…'}, not {names[kind]}")
