"""The calls in term strings, ``KD(temperature=4)``: read as literals, checked, and made losses."""

import ast
import inspect
import re
import warnings
from collections.abc import Callable
from typing import Any

import potstill as ps
from potstill.errors import BadInput, unknown
from potstill.guard import foreign
from potstill.user_code import find_callable

HOME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*|.+\.py", re.DOTALL)


def expression(text: str) -> ast.expr:
    """Python's parse of an expression.

    Raises:
        ValueError: it is none, or one that is nested too deeply.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error", SyntaxWarning)  # "\\d" in a string
        warnings.simplefilter("error", DeprecationWarning)
        try:
            return ast.parse(text, mode="eval").body
        except (SyntaxError, MemoryError, RecursionError) as error:
            raise ValueError(f"no expression: {error}") from error


def arguments(call: ast.Call, evaluate: Callable[[ast.expr], Any]) -> tuple[list[Any], dict[str, Any]]:
    """What a call is given, positional and named.

    Raises:
        ValueError: ``*`` or ``**``, one name twice, or whatever ``evaluate`` raises.
    """
    names = [keyword.arg for keyword in call.keywords]
    if None in names or len(set(names)) < len(names):
        raise ValueError("** or one name twice")
    named = {str(keyword.arg): evaluate(keyword.value) for keyword in call.keywords}
    return [evaluate(argument) for argument in call.args], named


def loss_maker(name: str, text: str, string: str, least: int = 2) -> Callable[[], Callable[..., Any]]:
    """What makes the loss ``name`` with the arguments ``text``, "(temperature=4)"; ``string`` is the whole term.

    A function must take ``least`` tensors.

    Raises:
        BadInput: there is no such loss, it is none, or it does not take these arguments.
    """
    try:
        call = expression(f"loss{text}")
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
            raise ValueError("a call of a call")
        positional, named = arguments(call, ast.literal_eval)
    except (ValueError, TypeError, MemoryError, RecursionError) as error:
        raise BadInput(f"term {string!r}: {text} is not a list of plain values, as in KD(temperature=4)") from error
    found = find_loss(name)
    if not isinstance(found, type):
        _check_function(found, name, least)
        if positional or named:
            raise BadInput(f"term {string!r}: {name} is a function, which takes no arguments here; a class does")
        return lambda: found
    _check_class(found, name, positional, named)

    def make() -> Callable[..., Any]:
        with foreign(f"term {string!r}: {name}"):
            made: Callable[..., Any] = found(*positional, **named)
        return made

    return make


def find_loss(name: str) -> Callable[..., Any]:
    """The loss of that name: one of the package, or anybody's, ``file.py:Loss`` or ``package.module:Loss``."""
    home, colon, attribute = name.rpartition(":")
    if not colon:
        if name not in ps.losses.__all__:
            raise unknown("loss", name, ps.losses.__all__)
        ours: Callable[..., Any] = getattr(ps.losses, name)
        return ours
    if not HOME.fullmatch(home) or not attribute.isidentifier():
        raise BadInput(f"{name!r} is no loss; one's own is file.py:Loss or package.module:Loss")
    with foreign(f"loss {name!r}"):
        own: Callable[..., Any] = find_callable(home, attribute, "loss")
    return own


def _check_class(loss: type, name: str, positional: list[Any], named: dict[str, Any]) -> None:
    """Refuse a class that is no loss, before anything of it runs, and arguments that it does not have."""
    from torch import nn

    if not issubclass(loss, nn.Module) and not inspect.isfunction(inspect.getattr_static(loss, "__call__", None)):
        raise BadInput(f"{name!r} is no loss: neither a torch.nn.Module nor a class with a __call__")
    # torch's own takes anything, to refuse it later.
    plain = inspect.getattr_static(loss, "__init__") is nn.Module.__init__
    signature = inspect.Signature() if plain else inspect.signature(loss)
    takes = signature.parameters
    if takes and not any(parameter.kind is parameter.VAR_KEYWORD for parameter in takes.values()):
        for argument in named:
            if argument not in takes:
                raise unknown(f"argument of {name}", argument, takes)
    try:
        signature.bind(*positional, **named)
    except TypeError as error:
        raise BadInput(f"{name}: {error}") from error


def _check_function(loss: Callable[..., Any], name: str, least: int) -> None:
    """Refuse a function that cannot be a loss: it takes too few tensors."""
    try:
        parameters = inspect.signature(loss).parameters.values()
    except (TypeError, ValueError):  # some of torch's, written in C, do not tell
        return
    various = any(p.kind is p.VAR_POSITIONAL for p in parameters) and inspect.isfunction(loss)
    count = sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters)
    wanted = 1 if hasattr(loss, "taps") else least
    if not various and count < wanted:
        raise BadInput(f"{name!r} is no loss: it takes {count} inputs, not those of student and teacher")


def places_alone(loss: Callable[..., Any]) -> tuple[str, ...]:
    """Where the inputs of a loss come from that says nothing of them, and has no teacher: by how many it must have."""
    try:
        takes = inspect.signature(getattr(loss, "forward", loss)).parameters.values()
    except (TypeError, ValueError):  # some of torch's, written in C, do not tell
        return ("student", "labels")
    wanted = [one for one in takes if one.default is one.empty and one.kind <= one.POSITIONAL_OR_KEYWORD]
    return ("student",) if len(wanted) == 1 else ("student", "labels")
