"""A run that was made, as its folder tells: whatever is read here can be shown."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from potstill.errors import BadInput
from potstill.runs.details import Details
from potstill.runs.headline import best_epoch, headline, of_teacher
from potstill.runs.names import DETAILS, INSIGHT
from potstill.runs.reading import read_config, read_details, read_history, read_insight, read_summary
from potstill.runs.schema import Config, Epoch, Insight, Measured, Segment, Summary
from potstill.runs.segments import segments_of

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class RecordedRun:
    """A run with at least one epoch; ``summary`` is None while it is unfinished, ``insight`` where it left none.

    ``details`` are those of its learners, by their names; empty where it left none. ``unread`` says why an insight or
    details are not there though a file was.
    """

    folder: Path
    config: Config
    history: list[Epoch]
    summary: Summary | None
    insight: Insight | None
    details: dict[str, Details]
    unread: dict[str, str]

    @property
    def learners(self) -> list[str]:
        """The names of its learners, first the one that counts."""
        return list(self.history[-1]["learners"])

    @property
    def measures(self) -> dict[str, list[str]]:
        """The names of the numbers that are measured of each learner, in their order."""
        return {name: list(splits["test"]) for name, splits in self.history[-1]["learners"].items()}

    @property
    def seed(self) -> int | None:
        """Its seed, None for a run that was not told one."""
        seed: int | None = self.config["arguments"].get("seed")
        return seed

    @property
    def segments(self) -> list[Segment]:
        """Where and by which versions it was trained, from which epoch on."""
        return segments_of(self.config)

    @property
    def name(self) -> str:
        """What tells it from the other runs of its row."""
        return self.folder.name if self.seed is None else f"seed {self.seed}"

    @property
    def unfinished(self) -> str | None:
        """How far it came, None once it is finished."""
        planned = self.config["arguments"].get("epochs", "?")
        return None if self.summary is not None else f"unfinished, epoch {len(self.history)} of {planned}"

    def measured(self, learner: str, which: str) -> Measured:
        """What was measured on the test images in a learner's ``last`` or ``best`` epoch, so far."""
        if self.summary is not None:
            reached = self.summary["learners"][learner]
            return (reached["best"] if which == "best" else reached["last"])["test"]
        epoch = best_epoch(self.history, learner) if which == "best" else self.history[-1]
        return epoch["learners"][learner]["test"]

    def teachers(self) -> dict[str, Measured]:
        """What was measured of its teachers."""
        teachers = self.summary["teachers"] if self.summary is not None else {}
        return {name: of_teacher(teacher) for name, teacher in teachers.items()}

    def starts(self) -> dict[str, Measured]:
        """What was measured of its learners before they were trained."""
        learners = self.summary["learners"] if self.summary is not None else {}
        return {name: start["test"] for name, learner in learners.items() if (start := learner.get("start"))}

    def spec(self, network: str) -> str | None:
        """What the network of that name was made from; None if it was made by hand."""
        found = self.config["networks"].get(network)
        return None if found is None else found.get("spec")

    def cost(self, network: str, what: str) -> int | None:
        """The ``parameters`` or ``macs`` of a network; None where the run did not count them."""
        if self.summary is None:
            return None
        known = {**self.summary["teachers"], **self.summary["learners"]}.get(network, {})
        counted = known.get(what)
        return counted if isinstance(counted, int) else None


def read_run(folder: Path) -> RecordedRun:
    """Read a run folder.

    Raises:
        BadInput: it cannot be shown.
    """
    config, history, summary = read_config(folder), read_history(folder), read_summary(folder)
    if summary is not None:
        if summary["epochs"] != len(history):
            raise BadInput(f"metrics.jsonl has {len(history)} epochs, but summary.json {summary['epochs']}")
        if missing := [name for name in history[-1]["learners"] if name not in summary["learners"]]:
            raise BadInput(f"summary.json says nothing of {missing[0]}")
        for name, splits in history[-1]["learners"].items():
            _must_have_one_headline(name, splits["test"], summary["learners"][name]["last"]["test"])
    if not history[-1]["learners"]:
        raise BadInput("no network of this run learns")
    unread: dict[str, str] = {}
    details: dict[str, Details] = {}
    insight = _unless_damaged(INSIGHT, lambda: read_insight(folder), None, unread)
    # While a run goes on, what lies there is of its shorter past.
    if summary is not None:
        details = _unless_damaged(DETAILS, lambda: read_details(folder), details, unread)
    return RecordedRun(folder, config, history, summary, insight, details, unread)


def _unless_damaged(name: str, read: Callable[[], T], otherwise: T, unread: dict[str, str]) -> T:
    """What a file holds without which the rest of a run is sound."""
    try:
        return read()
    except BadInput as error:
        unread[name] = str(error)
        return otherwise


def _must_have_one_headline(learner: str, history: Measured, summary: Measured) -> None:
    there, here = (found and found[0] for found in (headline(history), headline(summary)))
    if there != here:
        raise BadInput(f"metrics.jsonl of {learner} is headed by {there}, but summary.json by {here}")
