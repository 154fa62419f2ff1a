"""Who is told what a run measures, beside its own ``metrics.jsonl``."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from secrets import token_hex
from types import TracebackType
from typing import Any, Protocol, Self

from potstill.errors import first_line
from potstill.runs.schema import Epoch


class Recorder(Protocol):
    """A tracker: TensorBoard, or somebody's own."""

    def log(self, record: Epoch) -> None:
        """Take what an epoch measured, as a line of ``metrics.jsonl`` has it: nested, with the key ``epoch``."""

    def close(self) -> None:
        """Take leave: the run has ended, or broken off."""


class TensorBoard:
    """Scalars in TensorBoard's event files.

    Args:
        folder: where they lie.
        purge_step: forget what an earlier, killed process wrote from this epoch on.
    """

    def __init__(self, folder: Path, purge_step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        # Of a name that nobody can know beforehand, where a link could wait.
        self.events = SummaryWriter(str(folder), purge_step=purge_step, filename_suffix=f".{token_hex(4)}")

    def log(self, record: Epoch) -> None:
        """Add a scalar for every number."""
        for name, value in flat(record):
            self.events.add_scalar(name, value, record["epoch"])
        self.events.flush()

    def close(self) -> None:
        """Close the file."""
        self.events.close()


class Recorders:
    """Several recorders as one. What fails in one is said, with its name, and neither the others nor the run suffer."""

    def __init__(self, recorders: Sequence[Recorder], say: Callable[[str], None]) -> None:
        self.recorders, self.say = recorders, say

    def log(self, record: Epoch) -> None:
        """Tell each of them."""
        for recorder in self.recorders:
            self._guarded(recorder, f"cannot record epoch {record['epoch']}", lambda one: one.log(record))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for recorder in self.recorders:
            self._guarded(recorder, "cannot close", lambda one: one.close())

    def _guarded(self, recorder: Recorder, what: str, call: Callable[[Recorder], None]) -> None:
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
