"""Who is told what a run measures, beside its own ``metrics.jsonl``."""

from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Protocol, Self

from potstill.errors import first_line
from potstill.runs.schema import Epoch, Summary


class Recorder(Protocol):
    """A tracker: one of `potstill.trackers`, or somebody's own.

    One that also has ``finish(summary)`` is told what came out of a run that has come to its end, before ``close``.
    """

    def log(self, record: Epoch) -> None:
        """Take what an epoch measured, as a line of ``metrics.jsonl`` has it: nested, with the key ``epoch``."""

    def close(self) -> None:
        """Take leave: the run has ended, or broken off."""


class Recorders:
    """Several recorders as one. What fails in one is said, with its name, and neither the others nor the run suffer."""

    def __init__(self, recorders: Sequence[Recorder], say: Callable[[str], None]) -> None:
        self.recorders, self.say = recorders, say

    def log(self, record: Epoch) -> None:
        """Tell each of them."""
        for recorder in self.recorders:
            self._guarded(recorder, f"cannot record epoch {record['epoch']}", lambda one: one.log(record))

    def finish(self, summary: Summary) -> None:
        """Tell those of them that take it what came out."""
        for recorder in self.recorders:
            if callable(getattr(recorder, "finish", None)):
                self._guarded(recorder, "cannot record the summary", lambda one: one.finish(summary))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for recorder in self.recorders:
            self._guarded(recorder, "cannot close", lambda one: one.close())

    def _guarded(self, recorder: Recorder, what: str, call: Callable[[Any], None]) -> None:
        try:
            call(recorder)
        except Exception as error:  # of anybody's code
            reason = first_line(error) or type(error).__name__
            self.say(f"recorder {type(recorder).__name__} {what}, the run goes on: {reason}")


def flat(record: Mapping[str, Any], prefix: str = "") -> list[tuple[str, float]]:
    """The numbers of nested dictionaries, by their paths.

    >>> flat({"epoch": 3, "terms": {"CE student": 0.5}})
    [('epoch', 3.0), ('terms/CE student', 0.5)]
    """
    rows: list[tuple[str, float]] = []
    for key, value in record.items():
        rows += flat(value, f"{prefix}{key}/") if isinstance(value, Mapping) else [(f"{prefix}{key}", float(value))]
    return rows
