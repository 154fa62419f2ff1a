"""What a table is: rows, each a recipe with its arguments and the number it is to reproduce."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from potstill.tables.published import Published


@dataclass(frozen=True)
class Row:
    """A line of a table.

    Args:
        name: unique in the table; its runs lie in the folder of that name.
        recipe: as the command line calls it.
        arguments: the recipe's own; what is left out has the recipe's default.
        training: fields of `Training`.
        teacher: another row, whose run of seed 0 is this one's teacher; the student's name may have its folder in it,
            as ``{teacher}``.
        learners: which of the trained networks is meant; of several, in each run the one that did best.
        runs_of: another row whose runs these are, seen from another learner.
        published: what others report for it.
        teacher_file: a file in the data folder with the weights of the network that ``arguments`` name as teacher: a
            teacher that was trained elsewhere.
        baseline: another row, in which the same student is trained in the same way without the method: what the gain
            is over. A method that adds to its student (another classifier, a token) has the student without that. None
            for a row without help, and where no row is its like.
    """

    name: str
    recipe: str
    arguments: dict[str, Any]
    training: dict[str, Any]
    teacher: str | None = None
    learners: tuple[str, ...] = ("student",)
    runs_of: str | None = None
    published: Sequence[Published] = ()
    teacher_file: str | None = None
    baseline: str | None = None

    @property
    def folder(self) -> str:
        """The name of the folder of its runs."""
        return self.runs_of or self.name


@dataclass(frozen=True)
class Budget:
    """How long the runs of a table last; every number of epochs in a row is scaled with it.

    >>> tenth = Budget(full=200, epochs=20)
    >>> tenth.at(60, 120, 160), tenth.lasting(10), tenth.lasting(1)
    ((6, 12, 16), 1, 1)
    """

    full: int
    epochs: int

    def at(self, *epochs: int) -> tuple[int, ...]:
        """The epochs of the shorter run that correspond to these of the full one; never 0, where the run starts."""
        return tuple(max(1, round(epoch * self.epochs / self.full)) for epoch in epochs)

    def lasting(self, epochs: int) -> int:
        """How long a part of that many epochs lasts: one at least."""
        return self.at(epochs)[0]


@dataclass(frozen=True)
class Table:
    """A table, published or our own.

    Args:
        sentence: what it shows.
        source: who published it, or nobody.
        data: the data sets.
        protocol: how the runs are trained and measured, for the foot of the table.
        epochs: length of a run.
        make: gives the rows for a budget.
        quotes: whether published numbers stand beside ours.
    """

    sentence: str
    source: str
    data: str
    protocol: str
    epochs: int
    make: Callable[[Budget], list[Row]] = field(repr=False)
    quotes: bool = True

    def rows(self, epochs: int | None = None) -> list[Row]:
        """The rows, in the order they are shown; for shorter runs if ``epochs`` says so."""
        return self.make(Budget(self.epochs, epochs or self.epochs))
