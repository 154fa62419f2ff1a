"""How a loss is usually trained: the weight that its docstring gives, and what its authors have beside it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from potstill.catalogue import WEIGHT, WEIGHT_ITSELF, Card, paragraphs
from potstill.tables.row import Budget

BESIDE = re.compile(r'(\d[\d.]*(?:e-?\d+)?) of (cross-entropy|KD|"[^"]+")')
ALONE = re.compile(r"\balone\b|\bin the place of\b")
FIRST = "before training with cross-entropy"
LASTING = re.compile(r"\b(\w+\([^,()]+, )(\d+)\)")
"""A schedule whose last argument is a number of epochs: warmup(1, 20)."""
AUTHORS_EPOCHS = 240
"""For how long the authors of such weights train: the benchmark of CRD."""


@dataclass(frozen=True)
class Usual:
    """The terms of a method, and how they are trained.

    Args:
        recipe: which takes them.
        terms: strings as ``--terms`` takes them.
        first: of the stage before, if there is one.

    >>> usual_of("0.9, beside 0.1 of cross-entropy", "KD", "distill").terms
    ('0.1 * CE', '0.9 * KD')
    """

    recipe: str
    terms: tuple[str, ...]
    first: tuple[str, ...] = ()

    def arguments(self, budget: Budget) -> dict[str, Any]:
        """The recipe's arguments, in a run of that many epochs: schedules of the authors' length are shortened."""
        terms = tuple(shortened(term, budget) for term in self.terms)
        if not self.first:
            return {"terms": terms} if terms else {}
        return {"first": self.first, "first_epochs": max(1, budget.epochs // 4), "terms": terms}


def usual(card: Card, labels: str = "CE") -> Usual:
    """How the loss of a card is trained by its name alone.

    Args:
        card: the loss's.
        labels: the loss of labels, of whose weight beside it the card speaks as cross-entropy's.
    """
    if card.own_recipe:
        return Usual(card.own_recipe, ())
    recipe = "distill" if "teacher" in card.taps else "supervised"
    if card.knowledge == "labels" and not card.weight:
        return Usual(recipe, (f"1 * {card.name}",))
    return usual_of(card.weight, card.name, recipe, labels)


def usual_of(weight: str, loss: str, recipe: str, labels: str = "CE") -> Usual:
    """The same of a loss whose docstring says ``weight``; 1 beside 1 of cross-entropy, where it says nothing."""
    found = WEIGHT_ITSELF.match(weight)
    own = f"{found[0] if found else 1} * {loss}"
    if FIRST in weight:
        return Usual("two-stage", (labels,), (own,))
    if ALONE.search(weight):
        return Usual(recipe, (own,))
    amounts = {what: amount for amount, what in BESIDE.findall(weight)}
    beside = [f"{amounts.pop('cross-entropy', 1)} * {labels}"]
    beside += [f"{amount} * {what.strip(chr(34))}" for what, amount in amounts.items()]
    return Usual(recipe, (*beside, own))


def own_weight(loss: object) -> str:
    """What the docstring of somebody's own loss says of its usual weight, in the form of the package's; or nothing."""
    texts: Sequence[str] = [" ".join(paragraph.split()) for paragraph in paragraphs(loss)]
    return next((found[1] for text in texts if (found := WEIGHT.match(text))), "")


def shortened(term: str, budget: Budget) -> str:
    """A term whose schedule lasts the same part of the run as of the authors'.

    >>> shortened("warmup(1, 20) * DKD", Budget(AUTHORS_EPOCHS, 24))
    'warmup(1, 2) * DKD'
    """
    weight, star, loss = term.partition(" * ")
    return LASTING.sub(lambda found: f"{found[1]}{budget.lasting(int(found[2]))})", weight) + star + loss
