"""What a run was asked: the arguments of its recipe, which `fit` writes into ``config.json``.

A recipe is a function whose arguments are its command line. One that is a dataclass (`Training`, `Teacher`) stands for
its fields: flat on the command line, flat in the record, and, if one likes, flat in Python.
"""

import functools
import inspect
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, TypeVar, get_type_hints

from potstill.checked import check_arguments
from potstill.home import at_home

Result = TypeVar("Result")

_record: ContextVar[Mapping[str, Any]] = ContextVar("record", default={})  # noqa: B039 - nobody writes into it
_defaults: ContextVar[Mapping[str, Any]] = ContextVar("defaults", default={})  # noqa: B039 - nor into this


def recipe(function: Callable[..., Result], name: str | None = None) -> Callable[..., Result]:
    """The same function, which makes its arguments known to every `fit` inside it. Works as a decorator.

    Args:
        function: a recipe.
        name: what its runs are called; by default as the function, with hyphens.

    >>> @recipe
    ... def add(*, one: int, other: int = 2) -> int:
    ...     print(current_record())
    ...     return one + other
    >>> add(one=1)
    {'recipe': 'add', 'one': 1, 'other': 2}
    3
    """

    @functools.wraps(function)
    def recorded(*args: Any, **given: Any) -> Result:
        arguments = bind(function, *args, **given)
        check_arguments(arguments.arguments, get_type_hints(function, include_extras=True), arguments.signature)
        called = name or function.__name__.replace("_", "-")
        token = _record.set({"recipe": called, **flat(arguments.arguments)})
        defaults = _defaults.set(defaults_of(function))
        try:
            return function(*arguments.args, **arguments.kwargs)
        finally:
            _record.reset(token)
            _defaults.reset(defaults)

    return recorded


def current_record() -> dict[str, Any]:
    """The name and the arguments of the recipe that is running, the innermost one; empty outside of any."""
    return dict(_record.get())


def current_defaults() -> dict[str, Any]:
    """What the arguments of the recipe that is running are by default, as far as they have one."""
    return dict(_defaults.get())


def defaults_of(function: Callable[..., Any]) -> dict[str, Any]:
    """The arguments of a recipe that need not be given.

    >>> def add(*, one: int, other: int = 2) -> int: ...
    >>> defaults_of(add)
    {'other': 2}
    """
    hints, found = get_type_hints(function), dict[str, Any]()
    for name, parameter in inspect.signature(function).parameters.items():
        kind = hints.get(name)
        if isinstance(kind, type) and is_dataclass(kind):
            found |= {field.name: field.default for field in fields(kind) if field.default is not MISSING}
        elif parameter.default is not parameter.empty:
            found[name] = parameter.default
    return found


def arguments_of(function: Callable[..., Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """What a recipe would record if it was called with ``given``, its defaults included; it is not called."""
    return flat(bind(function, **given).arguments)


def bind(function: Callable[..., Any], *args: Any, **given: Any) -> inspect.BoundArguments:
    """The arguments of a call, defaults included.

    The fields of a dataclass may be given instead of it, beside it, or in another dataclass: ``epochs=3``,
    ``teacher="runs/x"``.

    Raises:
        TypeError: the function does not take these.
    """
    signature = inspect.signature(function)
    for name, kind in get_type_hints(function).items():
        if name in signature.parameters and isinstance(kind, type) and is_dataclass(kind):
            own = {field.name for field in fields(kind)} - ({*signature.parameters} - {name})
            _gather(name, kind, signature.parameters[name].default, own, given)
    bound = signature.bind(*args, **given)
    bound.apply_defaults()
    bound.arguments = {name: at_home(value) for name, value in bound.arguments.items()}
    return bound


def flat(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments with the fields of dataclasses in their place."""
    plain: dict[str, Any] = {}
    for name, value in arguments.items():
        plain |= _fields(value) if is_dataclass(value) else {name: value}
    return plain


def _gather(name: str, kind: type[Any], default: Any, names: set[str], given: dict[str, Any]) -> None:
    """Put the argument ``name``, of that dataclass, in the place of those of its fields that are given."""
    whole = given.pop(name, default) if is_dataclass(given.get(name, default)) else None
    loose = {field: given.pop(field) for field in names if field in given}
    if isinstance(whole, kind) and not loose:
        given[name] = whole
    elif whole is not None or loose:
        given[name] = kind(**{**({} if whole is None else _fields(whole)), **loose})


def _fields(value: Any) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in fields(value)}
