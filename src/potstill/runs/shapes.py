"""Whether JSON is what a `TypedDict` says."""

from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints, is_typeddict

T = TypeVar("T")


def check(value: object, shape: type[T], place: str = "it") -> T:
    """``value``, if it is what the `TypedDict` ``shape`` says; it may have more keys.

    Raises:
        ValueError: it is not; the message names the first place that differs.

    >>> from potstill.runs.schema import Memory
    >>> check({"peak_bytes": "2 GB", "of": "cuda"}, Memory)
    Traceback (most recent call last):
    ValueError: peak_bytes is '2 GB', not a whole number
    """
    _check(value, shape, place)
    return value  # type: ignore[return-value]


_NAMES = {
    dict: "an object",
    list: "a list",
    str: "a string",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
}


def _check(value: object, shape: Any, place: str) -> None:
    origin, parts = get_origin(shape), get_args(shape)
    if shape is Any:
        return
    if origin in (UnionType, Union):  # of one type and null
        if value is not None:
            _check(value, next(part for part in parts if part is not NoneType), place)
    elif is_typeddict(shape):
        table = _must_be(value, dict, place)
        for key, part in get_type_hints(shape).items():
            if key in table:
                _check(table[key], part, _inside(place, key))
            elif key in shape.__required_keys__:
                raise ValueError(f"{_inside(place, key)} is missing")
    elif origin is dict:
        for key, item in _must_be(value, dict, place).items():
            _check(item, parts[1], _inside(place, key))
    elif origin is list:
        for i, item in enumerate(_must_be(value, list, place)):
            _check(item, parts[0], f"{place}.{i}")
    else:
        _must_be(value, shape, place)


def _inside(place: str, name: str) -> str:
    return name if place == "it" else f"{place}.{name}"


def _must_be(value: Any, kind: Any, place: str) -> Any:
    kinds = (int, float) if kind is float else kind
    if not isinstance(value, kinds) or (isinstance(value, bool) and kind is not bool):
        shown = repr(value)
        raise ValueError(f"{place} is {shown if len(shown) < 40 else shown[:40] + '…'}, not {_NAMES[kind]}")
    return value
