"""What the ranks other than 0 have in place of a run folder, and of what is shown: rank 0 alone writes and tells."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from potstill.engine.progress import Progress
from potstill.ranks.team import Team, on_first
from potstill.runs.folder import RunFolder
from potstill.runs.names import CHECKPOINT, INSIGHT, PREVIOUS
from potstill.runs.schema import Config, Epoch, Summary

if TYPE_CHECKING:
    from contextlib import AbstractContextManager


class Onlooker(RunFolder):
    """A run folder that another process writes; this one need not even see it.

    Args:
        path: where it lies.
        extends: what rank 0 has found there, see `RunFolder`.
    """

    def __init__(self, path: Path, extends: int | None) -> None:
        self.path, self.extends = path, extends
        self.checkpoint, self.previous, self.insight = path / CHECKPOINT, path / PREVIOUS, path / INSIGHT

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        pass

    def write(self, contents: Mapping[str, bytes | None], keep: Mapping[str, str] | None = None) -> None:
        """Write nothing."""

    def summary(self) -> Summary | None:
        """Nobody's to ask but rank 0's."""
        return None

    def start_logs(self, history: Sequence[Epoch]) -> None:
        """Log nothing."""

    def log(self, record: Epoch) -> None:
        """Log nothing."""

    def finish(self, summary: Summary) -> None:
        """Leave it to rank 0."""

    def extend(self, changed: str | None) -> None:
        """Leave it to rank 0."""


class Unseen(Progress):
    """Shows nothing."""

    def due(self) -> bool:
        """Never."""
        return False

    def epoch(self, record: Epoch) -> None:
        """Print nothing."""

    def say(self, line: str) -> None:
        """Print nothing."""


@contextmanager
def folder_of(out: Path, config: Config, team: Team | None) -> Iterator[RunFolder]:
    """The run folder, and another process watched for its end as long as this one is in it."""
    with watched(team):
        if team is None or team.world.rank == 0:
            with RunFolder(out, config) as run:
                on_first(team, lambda: run.extends)
                yield run
        else:
            yield Onlooker(out, on_first(team, lambda: None))


def progress_of(team: Team | None, *about: Any) -> Progress:
    """What a user sees of a run, on rank 0."""
    return Progress(*about) if team is None or team.world.rank == 0 else Unseen(*about)


def watched(team: Team | None) -> "AbstractContextManager[None]":
    """End this process inside if another one of the run is gone."""
    return nullcontext() if team is None or team.world.pulse is None else team.world.pulse.watching()
