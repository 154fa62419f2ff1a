"""What a user sees while a table runs: a live line on a terminal, a plain line for each run elsewhere."""

import time
from datetime import timedelta

from potstill.live_line import LiveLine, unstyled
from potstill.tables.jobs import Job

REFRESH_SECONDS = 1.0


class TableProgress(LiveLine):
    """Says on stderr which runs start and end, how many are done, running and failed, and the time left.

    Args:
        present: runs that were finished before.
        missing: runs to do.
        at_once: how many processes there are at a time.
    """

    def __init__(self, present: int, missing: int, at_once: int) -> None:
        super().__init__()
        self.present, self.missing, self.at_once = present, missing, at_once
        self.running: dict[str, float] = {}  # when each was started
        self.seconds: list[float] = []  # how long each of those done here took
        self.failed = 0
        self.shown = 0.0

    def started(self, job: Job, host: str | None = None) -> None:
        """Say that a run has started, and where its log is."""
        self.running[job.name] = time.monotonic()
        self.say(f"{job.name}: started{'' if host is None else f' on {host}'}, log in {job.log}")

    def lost(self, job: Job, why: str) -> None:
        """Say that nobody knows what became of a run, and that it waits for another place."""
        self.running.pop(job.name, None)
        self.say(f"{job.name}: {why}; it is started again elsewhere")

    def ended(self, job: Job, failure: str | None) -> None:
        """Say how a run ended."""
        began = self.running.pop(job.name, None)
        if failure is None and began is not None:
            self.seconds.append(time.monotonic() - began)
            self.say(f"{job.name}: done in {timedelta(seconds=round(self.seconds[-1]))}; {self.state()}")
        else:
            self.failed += 1
            self.say(f"{job.name}: {failure}; {self.state()}")

    def tick(self) -> None:
        """Refresh the live line."""
        if self.console.is_terminal and time.monotonic() - self.shown > REFRESH_SECONDS:
            self.shown = time.monotonic()
            self.live.update(unstyled(self.state()), refresh=True)

    def state(self) -> str:
        """The counts and the time left in one line."""
        done, total = self.present + len(self.seconds), self.present + self.missing
        failed = f", {self.failed} failed" if self.failed else ""
        return f"{done} of {total} runs done, {len(self.running)} running{failed}{self._left()}"

    def _left(self) -> str:
        """The time left if runs go on to take as long as those done here on average; processes share the work."""
        unfinished = self.missing - len(self.seconds) - self.failed
        if not self.seconds or not unfinished:
            return ""
        each = sum(self.seconds) / len(self.seconds)
        spent = sum(min(time.monotonic() - began, each) for began in self.running.values())
        return f", about {timedelta(seconds=round((unfinished * each - spent) / self.at_once))} left"
