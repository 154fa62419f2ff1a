"""Terms as strings: ``"1000 * AT(p=2) on stages"``. Parsed, never evaluated."""

import ast
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import potstill as ps
from potstill.errors import BadInput, unknown
from potstill.own_code import find_own
from potstill.recipes.places import Address, addresses_at, flat

if TYPE_CHECKING:
    from torch import nn

GRAMMAR = "weight * Loss(argument=value, ...) on tap, student_tap=teacher_tap, ... | stages"
PATTERN = re.compile(
    r"^(?:(?P<weight>[^*()]+?)\s*\*)?\s*(?P<loss>[^()*]+?)\s*(?P<arguments>\(.*\))?(?:\s+on\s+(?P<taps>.+))?$",
    re.DOTALL,
)


def parse_terms(strings: Sequence[str], networks: "Mapping[str, nn.Module]") -> "list[ps.Term]":
    """The terms that ``strings`` describe, between a network called ``student`` and one called ``teacher``.

    Raises:
        BadInput: a string is not of the grammar, or names a loss, an argument or a tap that does not exist.
    """
    return [term for string in strings for term in _parse(string, networks)]


def _parse(string: str, networks: "Mapping[str, nn.Module]") -> "list[ps.Term]":
    match = PATTERN.match(string.strip())
    if not match:
        raise BadInput(f"term {string!r} is not of the form {GRAMMAR!r}")
    weight = _number(match["weight"], string) if match["weight"] else 1.0
    make = _find_loss(match["loss"])
    positional, named = _arguments(match["arguments"] or "()", string)

    def make_loss() -> Callable[..., Any]:
        try:
            return make(*positional, **named) if isinstance(make, type) else make
        except TypeError as error:
            raise BadInput(f"term {string!r}: {error}") from error

    usual: tuple[Address, ...] = getattr(make_loss(), "taps", ("student", "teacher"))
    terms = []
    for addresses in addresses_at(usual, match["taps"], networks, string):
        name = f"{match['loss'].rpartition(':')[2]} {flat(addresses)[0]}"
        terms.append(ps.Term(make_loss(), *addresses, weight=weight, name=name))
    return terms


def _number(text: str, string: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise BadInput(f"term {string!r}: {text.strip()!r} is not a number; the form is {GRAMMAR!r}") from error


def _find_loss(name: str) -> Callable[..., Any]:
    if ":" not in name:
        if name not in ps.losses.__all__:
            raise unknown("loss", name, ps.losses.__all__)
        found: Callable[..., Any] = getattr(ps.losses, name)
        return found
    home, _, attribute = name.rpartition(":")
    own: Callable[..., Any] = find_own(home, attribute, "loss")
    return own


def _arguments(text: str, string: str) -> tuple[list[Any], dict[str, Any]]:
    """The literals of a call's argument list."""
    try:
        call = ast.parse(f"loss{text}", mode="eval").body
        assert isinstance(call, ast.Call)
        named = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords}
        return [ast.literal_eval(argument) for argument in call.args], named
    except (SyntaxError, ValueError) as error:
        raise BadInput(f"term {string!r}: {text} is not a list of plain values; the form is {GRAMMAR!r}") from error
