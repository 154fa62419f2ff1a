"""Trials whose runs are ended early: what each epoch measures is told to whoever decides whether it goes on."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from potstill.runs.headline import value_of
from potstill.runs.names import METRICS
from potstill.tables.jobs import Ended, Job, Place, Started


@dataclass
class Follower:
    """Reads what a run measures of its held-out images, epoch by epoch, until nobody wants more.

    Args:
        folder: of the run.
        goes_on: called with the value and how many epochs the student has been trained, once for each; whether the run
            is to go on.
    """

    folder: Path
    goes_on: Callable[[float, int], bool]
    seen: int = 0
    over: bool = field(default=False)

    def look(self) -> bool:
        """See what is new; whether the run is to be ended."""
        for epoch in self._whole_lines()[self.seen :]:
            if self.over:
                break
            self.seen += 1
            value = value_of(epoch["learners"]["student"]["holdout"])
            assert value is not None, "held-out images are measured in every epoch"
            self.over = not self.goes_on(value, self.seen)
        return self.over

    def _whole_lines(self) -> list[dict]:  # type: ignore[type-arg]
        """The epochs that are written to the end: a process may be writing another one."""
        file = self.folder / METRICS
        text = file.read_text(encoding="utf-8") if file.is_file() else ""
        return [json.loads(line) for line in text.split("\n")[:-1]]


@dataclass(frozen=True)
class Watched:
    """A place whose runs are ended as soon as their followers want no more."""

    place: Place
    followers: Mapping[str, Follower]

    @property
    def host(self) -> str | None:
        """The place's."""
        return self.place.host

    def start(self, job: Job) -> Started:
        """Start a job."""
        return _Followed(self.place.start(job), self.followers[job.name])


class _Followed:
    """A job that was started, and is asked to end once its follower wants no more."""

    def __init__(self, started: Started, follower: Follower) -> None:
        self.started, self.follower, self.asked = started, follower, False

    def poll(self) -> Ended | None:
        """How it ended; well, if it was asked to."""
        if not self.asked and self.follower.look():
            self.asked = True
            self.started.ask_to_end()
        ended = self.started.poll()
        return Ended(None) if ended is not None and self.asked else ended

    def ask_to_end(self) -> None:
        """As of what was started."""
        self.started.ask_to_end()

    def wait(self, seconds: float) -> None:
        """As of what was started."""
        self.started.wait(seconds)
