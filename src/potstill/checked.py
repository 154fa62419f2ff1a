"""Arguments checked against their annotations, by one mechanism: a wrong one is refused, and not trained on.

A ``Literal`` takes its own values only, a ``bool`` only True and False, a number only finite ones, no bool, and what is
in its `Range`; a class its instances; a tuple is checked item by item. Annotations that mean nothing here (``Any``,
protocols) promise nothing. Defaults are not checked. It serves constructors and functions (`checked`), recipes, whose
arguments are flags (`check_arguments`), and dataclasses (`check_fields`).
"""

import functools
import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from numbers import Integral, Real
from os import PathLike
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, ParamSpec, TypeVar, Union, get_args, get_origin, get_type_hints

from potstill.errors import BadInput, nearest, shown
from potstill.ranges import Range

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def checked(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """The same function or ``__init__``, which first checks its arguments against its annotations. A decorator.

    Raises:
        BadInput: when it is called with a value that an annotation does not promise; the message names the nearest.

    >>> from potstill.ranges import Positive
    >>> @checked
    ... def soften(temperature: Positive, how: Literal["mean", "sum"] = "mean") -> float: ...
    >>> soften(4, "maen")
    Traceback (most recent call last):
    potstill.errors.BadInput: soften: how is 'maen'; did you mean 'mean'?
    """
    signature = inspect.signature(function)
    name = function.__qualname__.removesuffix(".__init__").rpartition(".")[2]
    hints = functools.cache(lambda: get_type_hints(function, include_extras=True))

    @functools.wraps(function)
    def call(*args: Arguments.args, **given: Arguments.kwargs) -> Result:
        try:
            bound = signature.bind(*args, **given)
        except TypeError:  # of other arguments than there are: Python has its own words for it
            return function(*args, **given)
        check_arguments(bound.arguments, hints(), signature, lambda argument: f"{name}: {argument}")
        return function(*args, **given)

    return call


def check_arguments(
    given: Mapping[str, Any],
    hints: Mapping[str, Any],
    signature: inspect.Signature,
    called: Callable[[str], str] = lambda name: f"--{name.replace('_', '-')}",
) -> None:
    """Check a call's arguments.

    Args:
        given: the arguments by name.
        hints: the annotations by name.
        signature: the function's: what is its own default is right.
        called: what messages call an argument, by default its flag.

    Raises:
        BadInput: the first that is not what its annotation promises.
    """
    for name, value in given.items():
        parameter = signature.parameters[name]
        various = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        if not various and value is not parameter.default:
            check(value, hints.get(name, Any), called(name))


def check_fields(settings: Any) -> None:
    """Check the fields of a dataclass, whose messages call them by their flags.

    Raises:
        BadInput: the first that is not what its annotation promises.
    """
    hints = get_type_hints(type(settings), include_extras=True)
    for field in fields(settings):
        if (value := getattr(settings, field.name)) is not field.default:
            check(value, hints[field.name], f"--{field.name.replace('_', '-')}")


class Settings:
    """A dataclass of flags, whose fields are checked when one is made."""

    def __post_init__(self) -> None:
        check_fields(self)


def check(value: object, kind: Any, name: str) -> None:
    """Raise ``BadInput`` if ``value`` is not what the annotation ``kind`` promises; the message begins with ``name``.

    >>> from potstill.ranges import Positive
    >>> check(float("nan"), Positive, "weight")
    Traceback (most recent call last):
    potstill.errors.BadInput: weight must be a finite number, not nan
    """
    if problem := problem_of(value, kind):
        raise BadInput(f"{name} {problem}")


def problem_of(value: object, kind: Any) -> str | None:
    """What is wrong with a value where an annotation stands; None if nothing is."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return problem_of(value, inner[0]) or _first(of.problem(value) for of in inner[1:] if isinstance(of, Range))
    if origin in (Union, UnionType):
        problems = [problem_of(value, option) for option in inner if option is not NoneType]
        alike = (
            p for o, p in zip(inner, problems, strict=False) if isinstance(value, list) and get_origin(o) is Sequence
        )
        return None if (value is None and NoneType in inner) or None in problems else next(alike, problems[0])
    if origin is Literal:
        return None if any(_same(value, option) for option in inner) else _not_one_of(value, inner)
    if kind in (bool, int, float):
        return _NUMBERS[kind](value)
    if origin in (tuple, list, Sequence):
        return _items_problem(value, inner)
    if origin is Callable:
        return None if callable(value) else f"must be a function, not {shown(value)}"
    if isinstance(kind, type) and kind is not Any and not getattr(kind, "_is_protocol", False):
        allowed = (str, PathLike) if kind is Path else kind
        return None if isinstance(value, allowed) else f"must be {_called(kind)}, not {shown(value)}"
    return None


def _items_problem(value: object, inner: tuple[Any, ...]) -> str | None:
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        return f"must be a list, not {shown(value)}"
    if len(inner) == 1 or inner[1:] == (...,):
        return _first(problem_of(item, inner[0]) for item in value)
    if len(inner) != len(value):
        return f"must be a list of {len(inner)}, not {shown(value)}"
    return _first(problem_of(item, kind) for item, kind in zip(value, inner, strict=True))


def _not_a_bool(value: object) -> str | None:
    return None if isinstance(value, bool) else f"must be True or False, not {shown(value)}"


def _not_an_int(value: object) -> str | None:
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    return None if whole else f"must be a whole number, not {shown(value)}"


def _not_a_float(value: object) -> str | None:
    if not isinstance(value, Real) or isinstance(value, bool):
        return f"must be a number, not {shown(value)}"
    # What float() cannot hold is finite, and beyond every range.
    finite = isinstance(value, Integral) or math.isfinite(value)
    return None if finite else f"must be a finite number, not {shown(value)}"


_NUMBERS: dict[Any, Callable[[object], str | None]] = {bool: _not_a_bool, int: _not_an_int, float: _not_a_float}


def _not_one_of(value: object, options: Sequence[object]) -> str:
    known = [repr(option) for option in options]
    near = nearest(value, [option for option in options if isinstance(option, str)]) if isinstance(value, str) else []
    if near:
        return f"is {shown(value)}; did you mean {near[0]!r}?"
    return f"is {shown(value)}; known: {', '.join(known)}"


def _same(value: object, option: object) -> bool:
    """Equal, and of one type: True is not 1."""
    return type(value) is type(option) and value == option


def _first(problems: Iterable[str | None]) -> str | None:
    return next((problem for problem in problems if problem), None)


def _called(kind: type) -> str:
    return "text" if kind is str else "a path" if kind is Path else f"a {kind.__name__}"
