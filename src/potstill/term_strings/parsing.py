"""Terms as strings: ``"1000 * AT(p=2) on stages"``. Parsed, never evaluated."""

import ast
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import potstill as ps
from potstill.errors import BadInput, unknown
from potstill.term_strings.matching import Matcher
from potstill.term_strings.places import Addresses, Places, flat
from potstill.user_code import find_callable

if TYPE_CHECKING:
    from torch import Tensor, nn

    from potstill.schedules import Schedule
    from potstill.term import Term

GRAMMAR = "weight * Loss(argument=value, ...) on tap, student_tap=teacher_tap, ... | stages"
SCHEDULES = ("cosine", "from_epoch", "linear", "milestones", "warmup")
USUAL_NAMES = {"student": "student", "teacher": "teacher"}


def parse_terms(
    strings: Sequence[str],
    networks: "Mapping[str, nn.Module]",
    names: Mapping[str, str] = USUAL_NAMES,
    images: "Tensor | None" = None,
    both: bool = False,
) -> "list[Term]":
    """The terms that ``strings`` describe, between a network called ``student`` and one called ``teacher``.

    Args:
        strings: as for `potstill.term_strings.terms`.
        networks: ``student`` and ``teacher``, and others that whole addresses may begin with.
        names: what the distiller calls the two, ``light`` and ``booster`` for example.
        images: a few images (N, C, H, W), on which both networks run once where layers are named: stages are then
            matched by resolution, which is said on stderr, and tokens become maps for losses that want these. Without
            images, stages are the aliases of both networks, one to one.
        both: let gradients reach both networks.

    Raises:
        BadInput: a string is not of the grammar, or names a loss, an argument or a tap that does not exist.
    """
    places = Places(networks, names, None if images is None else Matcher(networks, images, names))
    return [term for string in strings for term in _parse(string, places, both)]


def _parse(string: str, places: Places, both: bool) -> "list[Term]":
    weight, loss, taps = _split(string)
    name, bracket, rest = loss.partition("(")
    if not name or (bracket and not rest.endswith(")")):
        raise BadInput(f"term {string!r} is not of the form {GRAMMAR!r}")
    make = _find_loss(name.strip())
    positional, named = _arguments(f"({rest}" if bracket else "()", string)

    def make_loss() -> Callable[..., Any]:
        try:
            return make(*positional, **named) if isinstance(make, type) else make
        except TypeError as error:
            raise BadInput(f"term {string!r}: {error}") from error

    usual: tuple[Addresses, ...] = getattr(make_loss(), "taps", ("student", "teacher"))
    value = _weight(weight, string) if weight else 1.0
    terms = []
    for addresses in places.addresses(usual, taps or None, string):
        title = f"{name.strip().rpartition(':')[2]} {flat(addresses)[0]}"
        terms.append(ps.Term(make_loss(), *addresses, weight=value, both=both, name=title))
    return terms


def _split(string: str) -> tuple[str, str, str]:
    """Weight, loss and taps of a term: what is around its ``*`` and its ``on`` outside of brackets."""
    depth, star, on = 0, -1, len(string)
    for i, character in enumerate(string):
        depth += (character == "(") - (character == ")")
        if depth == 0 and character == "*" and star < 0:
            star = i
        if depth == 0 and re.match(r"\son\s", string[i:]):
            on = i
            break
    return string[: max(star, 0)].strip(), string[star + 1 : on].strip(), string[on + 3 :].strip()


def _weight(text: str, string: str) -> "float | Schedule":
    """A number, or a call of a schedule whose arguments are plain values or schedules again."""
    try:
        value: float | Schedule = _schedule(ast.parse(text, mode="eval").body)
        float(value(0) if callable(value) else value)
        return value
    except BadInput:  # an unknown schedule, which says so itself
        raise
    except (SyntaxError, ValueError, TypeError, ZeroDivisionError) as error:
        raise BadInput(
            f"term {string!r}: {text!r} is neither a number nor a schedule ({', '.join(SCHEDULES)}); "
            f"the form is {GRAMMAR!r}"
        ) from error


def _schedule(node: ast.expr) -> Any:
    if not isinstance(node, ast.Call):
        value = ast.literal_eval(node)
        if isinstance(value, str | bytes | bool | None | complex):
            raise ValueError(value)
        return value
    if not isinstance(node.func, ast.Name):
        raise ValueError(ast.unparse(node.func))
    if node.func.id not in SCHEDULES:
        raise unknown("schedule", node.func.id, SCHEDULES)
    named = {str(keyword.arg): _schedule(keyword.value) for keyword in node.keywords}
    return getattr(ps.schedules, node.func.id)(*(_schedule(argument) for argument in node.args), **named)


def _find_loss(name: str) -> Callable[..., Any]:
    if ":" not in name:
        if name not in ps.losses.__all__:
            raise unknown("loss", name, ps.losses.__all__)
        found: Callable[..., Any] = getattr(ps.losses, name)
        return found
    home, _, attribute = name.rpartition(":")
    own: Callable[..., Any] = find_callable(home, attribute, "loss")
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
