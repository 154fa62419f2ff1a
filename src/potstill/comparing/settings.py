"""What of a method can be tuned: the weight of its terms beside those of labels, and their temperature."""

import ast
import inspect
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from potstill.comparing.methods import OF_LABELS
from potstill.comparing.usual import Usual
from potstill.term_strings.calls import expression, find_loss
from potstill.term_strings.parsing import split_term

FIRST_NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d*)?(?:e-?\d+)?")
"""The weight, or the value of its schedule."""
WEIGHTS, TEMPERATURES = 10.0, 4.0
"""As many times smaller and larger than the usual ones are tried."""


@dataclass(frozen=True)
class Range:
    """The values of a setting, drawn evenly of their logarithm; ``usual`` is in the middle."""

    least: float
    usual: float
    most: float


def ranges_of(usual: Usual) -> dict[str, Range]:
    """What can be tuned of a method: ``weight``, a factor of the usual one, and ``temperature``; or nothing.

    A weight that no term of labels stands beside is but a learning rate.

    >>> [*ranges_of(Usual("distill", ("0.1 * CE", "0.9 * KD"))), *ranges_of(Usual("distill", ("1 * SimKD",)))]
    ['weight', 'temperature']
    """
    if usual.first:
        return {}
    own = [term for term in usual.terms if not _is_of_labels(term)]
    found = {}
    if own and len(own) < len(usual.terms):
        found["weight"] = Range(1 / WEIGHTS, 1.0, WEIGHTS)
    if temperatures := [value for term in own if (value := _temperature(term)) is not None]:
        (value, *_) = temperatures
        found["temperature"] = Range(value / TEMPERATURES, value, value * TEMPERATURES)
    return found


def with_settings(terms: Sequence[str], settings: Mapping[str, float]) -> tuple[str, ...]:
    """The terms with other settings than their usual ones; those of labels stay.

    >>> with_settings(("0.1 * CE", "0.9 * KD"), {"weight": 2.0, "temperature": 3.0})
    ('0.1 * CE', '1.8 * KD(temperature=3.0)')
    """
    found = []
    for term in terms:
        if not _is_of_labels(term):
            term = _weighed(term, settings.get("weight", 1.0))
            if _temperature(term) not in (None, settings.get("temperature", _temperature(term))):
                term = _heated(term, settings["temperature"])
        found.append(term)
    return tuple(found)


def _is_of_labels(term: str) -> bool:
    return split_term(term)[1].partition("(")[0].strip() in OF_LABELS


def _weighed(term: str, factor: float) -> str:
    """The term with so many times its weight."""
    if factor == 1:
        return term
    weight, loss, taps = split_term(term)

    def scaled(found: re.Match[str]) -> str:
        return f"{float(found[0]) * factor:.4g}"

    return _joined(FIRST_NUMBER.sub(scaled, weight or "1", count=1), loss, taps)


def _temperature(term: str) -> float | None:
    """The temperature of a term's loss, if it has one that is a number."""
    name, _, _ = split_term(term)[1].partition("(")
    loss = find_loss(name.strip())
    parameter = inspect.signature(loss).parameters.get("temperature") if isinstance(loss, type) else None
    if parameter is None:
        return None
    written = {keyword.arg: keyword.value for keyword in _call(term).keywords}
    value = ast.literal_eval(written["temperature"]) if "temperature" in written else parameter.default
    return float(value) if isinstance(value, int | float) and math.isfinite(value) and value > 0 else None


def _heated(term: str, temperature: float) -> str:
    """The term with that temperature."""
    weight, loss, taps = split_term(term)
    call, (name, _, _) = _call(term), loss.partition("(")
    call.keywords = [keyword for keyword in call.keywords if keyword.arg != "temperature"]
    call.keywords.append(ast.keyword("temperature", ast.Constant(float(f"{temperature:.4g}"))))
    return _joined(weight, name.strip() + ast.unparse(call).removeprefix("loss"), taps)


def _call(term: str) -> ast.Call:
    """The call of a term's loss, under the name ``loss``."""
    _, bracket, rest = split_term(term)[1].partition("(")
    call = expression(f"loss({rest}" if bracket else "loss()")
    assert isinstance(call, ast.Call)
    return call


def _joined(weight: str, loss: str, taps: str) -> str:
    return (f"{weight} * " if weight else "") + loss + (f" on {taps}" if taps else "")
