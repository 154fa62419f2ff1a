"""A comparison: a student alone and with each of several methods, as a table made on the fly."""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, replace
from typing import Any

from potstill.comparing.methods import Method
from potstill.comparing.usual import AUTHORS_EPOCHS
from potstill.runs.same_run import NOT_COMPARED
from potstill.tables.row import Budget, Row, Table
from potstill.teacher import AnyTeacher
from potstill.training import Training

ALONE = "student-alone"
"""The row without help."""
OF_ROWS = frozenset({"seed", "out", "teacher_cache"})
"""What a table says of each run itself."""
OWN_STUDENT = {"distill": "student", "two-stage": "student", "supervised": "network", "native-ensemble": "network"}
"""What recipes call the network to train."""
OWN_WEIGHTS = {"student": "student_weights", "network": "weights"}


@dataclass(frozen=True)
class Comparison:
    """What is compared.

    Args:
        student: the network to train.
        teacher: flags of the teacher, if there is one.
        training: how every run is trained; its seed is the first.
        methods: what the student is trained with.
        weights: that the student starts from.
        chosen: the terms of methods whose settings were tuned, by the method's name.
        notes: for the foot of the table, how it came to its settings.
    """

    student: str
    teacher: AnyTeacher
    training: Training
    methods: Sequence[Method]
    weights: str | None = None
    chosen: Mapping[str, Sequence[str]] = field(default_factory=dict)
    notes: Sequence[str] = ()

    @property
    def table(self) -> Table:
        """Its table."""
        training, teachers = self.training, self.teacher.teacher
        source = (
            "" if teachers is None else f", from {teachers if isinstance(teachers, str) else ' and '.join(teachers)}"
        )
        told = [f"{name.replace('_', ' ')} {value}" for name, value in given(training).items() if name != "data"]
        return Table(
            sentence=f"{self.student} on {training.data}, alone and with each of {len(self.methods)} methods{source}.",
            source="nobody: a comparison of one's own",
            data=training.data,
            protocol=f"every run of every row: {'; '.join([', '.join(told) or 'as by default', *self.notes])}",
            epochs=training.epochs,
            make=self.rows,
            quotes=False,
        )

    @property
    def machine(self) -> dict[str, Any]:
        """What runs are told that makes them no other ones: where data lie, and on what they run."""
        return {name: value for name, value in given(self.training).items() if name in NOT_COMPARED}

    def rows(self, budget: Budget) -> list[Row]:
        """The rows, for runs of that many epochs: the student alone first."""
        training = self.shortened(budget.epochs)
        settings = {name: value for name, value in given(training).items() if name not in NOT_COMPARED}
        settings["epochs"] = budget.epochs
        alone = Row(ALONE, "supervised", self._networks("supervised"), settings)
        return [alone, *(self._row(method, settings) for method in self.methods)]

    def shortened(self, epochs: int) -> Training:
        """The training in another number of epochs, and whatever depends on it in proportion."""
        training = self.training
        budget = Budget(training.epochs, epochs)
        if epochs == training.epochs:
            return training
        warmup = min(epochs, budget.lasting(training.warmup)) if training.warmup else 0
        return replace(training, epochs=epochs, milestones=budget.at(*training.milestones), warmup=warmup)

    def _row(self, method: Method, settings: dict[str, Any]) -> Row:
        recipe, epochs = method.usual.recipe, settings["epochs"]
        arguments = method.usual.arguments(Budget(AUTHORS_EPOCHS if method.scaled else epochs, epochs))
        if method.name in self.chosen:
            arguments["terms"] = tuple(self.chosen[method.name])
        return Row(method.name, recipe, {**self._networks(recipe), **arguments}, settings, baseline=ALONE)

    def _networks(self, recipe: str) -> dict[str, Any]:
        """The recipe's arguments for the networks: a teacher for those that have one."""
        student = OWN_STUDENT[recipe]
        found: dict[str, Any] = {student: self.student}
        if self.weights is not None:
            found[OWN_WEIGHTS[student]] = self.weights
        return found | (given(self.teacher) if student == "student" else {})


def given(settings: AnyTeacher | Training) -> dict[str, Any]:
    """The fields of some settings that are not what they are by default; those of rows alone left out."""
    found = {}
    for one in fields(settings):
        value = getattr(settings, one.name)
        if one.name not in OF_ROWS and value is not None and (one.default is MISSING or value != one.default):
            found[one.name] = value
    return found
