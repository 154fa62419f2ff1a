"""A tracker that may be out of reach: the run goes on, and what it missed is told later."""

import json
import time
from collections.abc import Callable, Sequence

from potstill.errors import first_line
from potstill.runs import manifest
from potstill.runs.folder import RunFolder
from potstill.runs.json_text import parse
from potstill.runs.names import METRICS, TRACKERS
from potstill.runs.schema import Epoch, Summary, Trackers
from potstill.runs.shapes import check
from potstill.trackers.told import Told, Tracker, settings

PAUSE = 60.0
"""Seconds at least until a tracker that failed is tried again; ten times as long as the attempt took, if that is more,
so that a run never waits for one for more than a tenth of its time."""


class Patient:
    """Tells a tracker every epoch once, whatever fails in between and however often the run is killed.

    What it calls the run, and how many epochs it was told, stands in the run folder.

    Args:
        name: of the tracker.
        kind: begins its run, or goes on with it.
        run: whose folder it is.
        known: what stands there of all trackers, see `read_known`; they share it.
        history: the epochs that are done.
        say: how a failure is said: once, until it works again.
    """

    def __init__(
        self,
        name: str,
        kind: Callable[[Told], Tracker],
        run: RunFolder,
        known: dict[str, Trackers],
        history: Sequence[Epoch],
        say: Callable[[str], None],
    ) -> None:
        self.name, self.kind, self.run, self.known, self.say = name, kind, run, known, say
        self.id: str | None = known[name]["id"] if name in known else None
        self.told = known[name]["epochs"] if name in known else 0
        self.waiting = list(history[self.told :])
        self.tracker: Tracker | None = None
        self.summary: Summary | None = None
        self.failed, self.again = False, 0.0
        self._tell()

    def log(self, record: Epoch) -> None:
        """Tell an epoch, and those before that it missed; of a checkpoint before the last, it has some already."""
        if record["epoch"] >= self.told:
            self.waiting.append(record)
        if time.monotonic() >= self.again:
            self._tell()

    def finish(self, summary: Summary) -> None:
        """Tell what came out; that is the last chance."""
        self.summary = summary
        self._tell()

    def close(self) -> None:
        """Take leave, and say what was never told."""
        try:
            if self.tracker is not None:
                self.tracker.close()
        except Exception as error:
            self._say(error)
        if self.waiting:
            first, last = self.waiting[0]["epoch"], self.waiting[-1]["epoch"]
            epochs = f"epoch {first}" if first == last else f"epochs {first} to {last}"
            self.say(f"tracker {self.name} was not told {epochs}, which {self.run.path / METRICS} has")

    def _tell(self) -> None:
        """All that waits."""
        begun = time.monotonic()
        try:
            if self.tracker is None:
                self.tracker = self._begin()
            while self.waiting:
                self.tracker.log(self.waiting[0])
                self.told = self.waiting.pop(0)["epoch"] + 1
                self._keep()
            if self.summary is not None:
                self.tracker.finish(self.summary)
                self.summary = None
        except Exception as error:  # of anybody's code and network
            self.again = time.monotonic() + max(PAUSE, 10 * (time.monotonic() - begun))
            self._say(error)
        else:
            if self.failed:
                self.say(f"tracker {self.name} works again, and was told what it had missed")
            self.failed = False

    def _begin(self) -> Tracker:
        tracker = self.kind(Told(self.run.path, settings(self.run.recorded), self.id))
        self.id = tracker.id
        self._keep()
        self.say(f"tracker {self.name}: {tracker.where}")
        return tracker

    def _keep(self) -> None:
        assert self.id is not None, "it has begun"
        self.known[self.name] = {"id": self.id, "epochs": self.told}
        self.run.write({TRACKERS: (json.dumps(self.known, indent=2) + "\n").encode()})

    def _say(self, error: Exception) -> None:
        if not self.failed:
            reason = first_line(error) or type(error).__name__
            self.say(f"tracker {self.name} fails, the run goes on and tries it again later: {reason}")
        self.failed = True


def read_known(run: RunFolder, say: Callable[[str], None]) -> dict[str, Trackers]:
    """What a run folder says of trackers, by their names; nothing if that is damaged, which is said."""
    try:
        content = manifest.content_of(run.path, TRACKERS)
        found = {} if content is None else parse(content)
        return {name: check(entry, Trackers) for name, entry in found.items()}
    except (ValueError, AttributeError) as error:
        say(f"{first_line(error)}; trackers begin anew")
        return {}
