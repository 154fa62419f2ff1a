"""Terms as strings: ``"1000 * AT(p=2) on stages"``. Parsed, never evaluated."""

import ast
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import potstill as ps
from potstill.checked import check
from potstill.errors import BadInput, shown, unknown
from potstill.guard import foreign
from potstill.ranges import NotNegative
from potstill.term_strings.calls import arguments, expression, loss_maker, places_alone
from potstill.term_strings.matching import Matcher
from potstill.term_strings.places import Addresses, Places, flat

if TYPE_CHECKING:
    from torch import Tensor, nn

    from potstill.schedules import Schedule
    from potstill.term import Term

GRAMMAR = "weight * Loss(argument=value, ...) on tap, student_tap=teacher_tap, ... | stages"
SCHEDULES = ("cosine", "from_epoch", "late_cosine", "linear", "milestones", "ramp", "steps", "warmup")
LONGEST = 5000  # characters of a string
CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
ON = re.compile(r"\son(\s|$)")
USUAL_NAMES = {"student": "student", "teacher": "teacher"}


def parse_terms(
    strings: Sequence[str],
    networks: "Mapping[str, nn.Module]",
    names: Mapping[str, str] = USUAL_NAMES,
    images: "Tensor | None" = None,
    both: bool = False,
    alone: bool = False,
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
        alone: a loss that does not say where its inputs come from gets the student's logits, and the labels if it takes
            two tensors, instead of both networks' logits.

    Raises:
        BadInput: a string is not of the grammar, or names a loss, an argument or a tap that does not exist.
    """
    places = Places(networks, names, None if images is None else Matcher(networks, images, names))
    return told_apart([(string, _parse(string, places, both, alone)) for string in strings])


def told_apart(found: "Sequence[tuple[str, list[Term]]]") -> "list[Term]":
    """The terms of all strings; those that would have one name get their loss's arguments into it, or their weight.

    ``KD(temperature=4)`` and ``KD(temperature=2)`` are "KD(temperature=4) student" and "KD(temperature=2) student"; a
    name that no other term has stays "KD student".
    """
    for with_weight in (False, True):
        counts = Counter(term.name for _, terms in found for term in terms)
        for string, terms in found:
            weight, loss, _ = split_term(string)
            name, bracket, rest = loss.partition("(")
            title = name.strip().rpartition(":")[2]
            old, new = (f"{title}{bracket}{rest}", f"{weight} * {title}") if with_weight else (title, title)
            for term in terms:
                if counts[term.name] > 1 and (weight or not with_weight):
                    term.name = f"{new}{bracket}{rest}{term.name.removeprefix(old)}"
    return [term for _, terms in found for term in terms]


def _parse(string: str, places: Places, both: bool, alone: bool) -> "list[Term]":
    weight, loss, taps = split_term(string)
    name, bracket, rest = loss.partition("(")
    if not name or (bracket and not rest.endswith(")")):
        raise BadInput(f"term {string!r} is not of the form {GRAMMAR!r}")
    make_loss = loss_maker(name.strip(), f"({rest}" if bracket else "()", string, least=1 if alone else 2)
    loss_taps = _taps_of(make_loss(), name.strip(), alone)
    value = _weight(weight, string) if weight else 1.0
    terms = []
    for addresses in places.addresses(loss_taps, taps or None, string):
        title = f"{name.strip().rpartition(':')[2]} {flat(addresses)[0]}"
        terms.append(ps.Term(make_loss(), *addresses, weight=value, both=both, name=title))
    return terms


def _taps_of(loss: Callable[..., Any], name: str, alone: bool) -> tuple[Addresses, ...]:
    """Where a loss's inputs usually come from: the logits of both, unless it says so in an attribute ``taps``."""
    with foreign(f"loss {name!r}: its taps"):
        taps = getattr(loss, "taps", places_alone(loss) if alone else ("student", "teacher"))
    check(taps, Sequence[str | Sequence[str]], f"loss {name!r}: taps")
    found = tuple(tap if isinstance(tap, str) else tuple(tap) for tap in taps)
    if not all(found) or not found:
        raise BadInput(f"loss {name!r}: taps must not be empty, as in {shown(taps)}")
    return found


def split_term(string: str) -> tuple[str, str, str]:
    """Weight, loss and taps of a term: what is around its ``*`` and its ``on`` outside of brackets.

    Raises:
        BadInput: it is not of the grammar.

    >>> split_term("warmup(1, 20) * DKD(beta=8) on student=teacher")
    ('warmup(1, 20)', 'DKD(beta=8)', 'student=teacher')
    """
    if not isinstance(string, str) or len(string) > LONGEST or CONTROL.search(string):
        raise BadInput(f"term {shown(string)} is not a text of {LONGEST:,} characters at most")
    depth, star, on = 0, -1, len(string)
    for i, character in enumerate(string):
        depth += (character == "(") - (character == ")")
        if depth == 0 and character == "*" and star < 0:
            star = i
        if depth == 0 and ON.match(string, i):
            on = i
            break
    weight, loss, taps = string[: max(star, 0)].strip(), string[star + 1 : on].strip(), string[on + 3 :].strip()
    if (star >= 0 and not weight) or (on < len(string) and not taps):
        raise BadInput(f"term {string!r} is not of the form {GRAMMAR!r}")
    return weight, loss, taps


def _weight(text: str, string: str) -> "float | Schedule":
    """A number, or a call of a schedule whose arguments are plain values or schedules again."""
    try:
        value: float | Schedule = _schedule(expression(text))
        if isinstance(value, list | tuple):
            raise ValueError("several")
    except (ValueError, TypeError) as error:
        if isinstance(error, BadInput):  # an unknown schedule, or what a schedule cannot take: it says so itself
            raise BadInput(f"term {string!r}: {error}") from error
        raise BadInput(
            f"term {string!r}: {text!r} is neither a number nor a schedule ({', '.join(SCHEDULES)}); "
            f"the form is {GRAMMAR!r}"
        ) from error
    check(value(0) if callable(value) else value, NotNegative, f"term {string!r}: its weight")
    return value


def _schedule(node: ast.expr) -> Any:
    if not isinstance(node, ast.Call):
        value = ast.literal_eval(node)
        if isinstance(value, str | bytes | bool | None | complex | set | dict):
            raise ValueError(value)
        return value
    if not isinstance(node.func, ast.Name):
        raise ValueError(ast.unparse(node.func))
    if node.func.id not in SCHEDULES:
        raise unknown("schedule", node.func.id, SCHEDULES)
    positional, named = arguments(node, _schedule)
    return getattr(ps.schedules, node.func.id)(*positional, **named)
