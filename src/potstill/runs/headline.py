"""Which of the numbers that were measured heads a summary, and how a number is written.

The first of them does, and more of it is better. Whoever measures something else puts it first, and every summary,
table and report shows that.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

from potstill.runs.schema import Epoch, Measured, Splits, Teacher
from potstill.runs.spread import Spread

ACCURACY = "top1"
"""What published tables, and most runs, are headed by."""
COUNT = "n"
"""How many images were measured: a number that is no result."""
COSTS = ("parameters", "macs")
"""What stands beside the results of a teacher."""
NAMES = {
    ACCURACY: ("top-1", "%"),
    "top5": ("top-5", "%"),
    "loss": ("loss", "nats"),
    "knn": ("k-NN", "%"),
    "probe": ("linear probe", "%"),
    "agreement": ("agreement with the teacher", "%"),
    "kl": ("KL from the teacher", "nats"),
    "map": ("mAP", "%"),
}
"""How our own numbers are written, and their units; any other is called by its name and has none."""


def headline(measured: Measured) -> tuple[str, float] | None:
    """Name and value of the number that heads a summary; None where nothing was measured.

    >>> headline({"top1": 93.1, "loss": 0.3, "n": 100})
    ('top1', 93.1)
    """
    return next(((name, value) for name, value in measured.items() if name != COUNT), None)


def value_of(measured: Measured) -> float | None:
    """The value alone."""
    found = headline(measured)
    return None if found is None else found[1]


def of_teacher(teacher: Teacher) -> Measured:
    """What was measured of a teacher, out of its entry in a summary."""
    return {name: value for name, value in teacher.items() if name not in COSTS and value is not None}


def best_epoch(history: Sequence[Epoch], learner: str) -> Epoch:
    """The first of the epochs in which a learner did best, on the held-out images if there are any.

    It is the last epoch where nothing was measured. What is no number is worse than any.
    """
    values = [value_of(deciding(epoch["learners"][learner])) for epoch in history]
    if all(value is None for value in values):
        return history[-1]
    ranks = [-math.inf if value is None or math.isnan(value) else value for value in values]
    return history[ranks.index(max(ranks))]


def deciding(splits: Splits) -> Measured:
    """The numbers by which epochs are compared."""
    return splits.get("holdout") or splits["test"]


def describe(measured: Measured) -> str:
    """The number that heads a summary, as people read it.

    >>> describe({"top1": 93.104}), describe({"recall": 0.81234}), describe({})
    ('93.10 %', '0.8123', '-')
    >>> describe({"agreement": 93.104})
    '93.10 % agreement with the teacher'
    """
    found = headline(measured)
    if found is None:
        return "-"
    name, value = found
    return written(name, value) + (f" {called(name)}" if unit(name) == "%" and name != ACCURACY else "")


def value_text(measured: Measured) -> str:
    """The same without a unit, for a column whose heading has it."""
    found = headline(measured)
    return "-" if found is None else f"{found[1]:.{digits(found[0])}f}"


def written(name: str, value: float) -> str:
    """A number with its unit, if it is one in percent."""
    return f"{value:.{digits(name)}f}" + (" %" if unit(name) == "%" else "")


def unit(name: str) -> str:
    """The unit of a number; empty where we know of none."""
    return NAMES.get(name, ("", ""))[1]


def called(name: str) -> str:
    """What a number is called, without its unit.

    >>> called("top1"), called("recall")
    ('top-1', 'recall')
    """
    return NAMES.get(name, (name, ""))[0]


def digits(name: str) -> int:
    """How many digits after the point a number is written with."""
    return 2 if unit(name) == "%" else 4


def title(name: str) -> str:
    """What a column or a row of it is called.

    >>> title("top1"), title("recall")
    ('top-1, %', 'recall')
    """
    words = NAMES.get(name, (name, ""))
    return ", ".join(filter(None, words))


def heads(measured: Iterable[Measured]) -> list[str]:
    """The names of the numbers that head these, each once."""
    found = [headline(one) for one in measured]
    return list(dict.fromkeys(name for name, _ in filter(None, found)))


def column(words: str, names: Sequence[str]) -> str:
    """The heading of a column whose cells are headed by ``names``, all of which say the same if it is one.

    >>> column("last epoch", ["top1"]), column("last epoch", ["recall"]), column("last epoch", ["top1", "recall"])
    ('last epoch, %', 'last epoch, recall', 'last epoch')
    >>> column("last epoch", ["agreement"])
    'last epoch, agreement with the teacher, %'
    """
    if len(names) > 1:
        return words
    name = names[0] if names else ACCURACY
    return f"{words}, {unit(name) if name == ACCURACY else title(name)}"


def cell(spread: Spread | None, name: str | None, names: Sequence[str]) -> str:
    """Values of ``name`` for a column whose cells are headed by ``names``; the cell says which where the column cannot.

    >>> cell(Spread((80.0, 82.0)), "top1", ["top1"]), cell(Spread((0.5,)), "recall", ["top1", "recall"])
    ('81.00 ± 1.41', '0.5000 (recall)')
    """
    if spread is None or name is None:
        return "-"
    return spread.text(digits(name)) + ("" if len(names) == 1 else f" ({title(name)})")


def results(measured: Mapping[str, float]) -> dict[str, float]:
    """All numbers that are results: everything but the count of the images."""
    return {name: value for name, value in measured.items() if name != COUNT}
