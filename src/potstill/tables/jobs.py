"""Commands, several at once, each in a place of its own: here, on another host, in a cluster."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from potstill.errors import BadInput
from potstill.say import say
from potstill.signals import ENDINGS, deferred, ending, handled

POLL_SECONDS = 0.1
PATIENCE_SECONDS = 60.0  # between asking a job to end and ending it: it finishes a step and saves it


@dataclass(frozen=True)
class Job:
    """A command to run.

    Args:
        name: unique.
        command: its words.
        log: the file its output is added to.
        needs: another job, which has to succeed first; if it is not among those to run, it has.
        shares: what it has in common with others, beside which it may run in one process; None if nothing.
    """

    name: str
    command: tuple[str, ...]
    log: Path
    needs: str | None = None
    shares: str | None = None

    def last_line(self) -> str:
        """What it said last; empty if it said nothing."""
        lines = self.log.read_text(errors="replace").split("\n") if self.log.is_file() else []
        said = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return said.removeprefix("potstill: ")


@dataclass(frozen=True)
class Ended:
    """How a job ended.

    Args:
        failure: why it failed; None if it did not.
        lost: whether it is not the job that failed, but the way to it: nobody knows what became of it.
    """

    failure: str | None
    lost: bool = False


class Started(Protocol):
    """A job that was started somewhere."""

    def poll(self) -> Ended | None:
        """How it ended; None while it runs."""

    def ask_to_end(self) -> None:
        """Have it save what it did, and end; returns at once."""

    def wait(self, seconds: float) -> None:
        """Wait that long for its end at most; then end it in whatever state it is."""


class Place(Protocol):
    """Where one job at a time runs."""

    @property
    def host(self) -> str | None:
        """What messages call the other machine; None for this one, and where somebody else chooses the machine."""

    def start(self, job: Job) -> Started:
        """Start a job, whose output is added to its log."""


class Watcher(Protocol):
    """Who is told what happens."""

    def started(self, job: Job, host: str | None) -> None:
        """A job has been started, on that other machine or here."""

    def lost(self, job: Job, why: str) -> None:
        """The way to it is lost; it will be started again."""

    def ended(self, job: Job, failure: str | None) -> None:
        """It has ended, well or for this reason; or is not run at all."""

    def tick(self) -> None:
        """Some time has passed."""


class Silent:
    """Watches jobs, and says nothing."""

    def started(self, job: Job, host: str | None) -> None:
        """Nothing."""

    def lost(self, job: Job, why: str) -> None:
        """Nothing."""

    def ended(self, job: Job, failure: str | None) -> None:
        """Nothing."""

    def tick(self) -> None:
        """Nothing."""


def run_jobs(jobs: Sequence[Job], places: Sequence[Place], watcher: Watcher) -> dict[str, str]:
    """Run commands, one in each place at a time, in this order but for what has to wait for another.

    A host that a job was lost on is given nothing more, and the job is started once more, elsewhere.

    Returns:
        For each job that failed, or was not run because it needs one that did, the reason.

    Raises:
        BadInput: there is no place.
        KeyboardInterrupt: this process was interrupted; by then all jobs have saved what they did, and ended.
        SystemExit: it was terminated, likewise. However it dies, its own children are told to end.
    """
    if not places:
        raise BadInput("--jobs must be positive, not 0")
    schedule = _Schedule(jobs, places, watcher)
    with handled():
        try:
            while schedule.waiting or schedule.running:
                schedule.give_up_what_cannot_run()
                schedule.start_what_can_run()
                schedule.see_what_has_ended()
                watcher.tick()
                time.sleep(POLL_SECONDS)
        except ENDINGS:
            with ending():
                for name, last in schedule.stop().items():
                    say(f"{name}: {last}")
            raise
        finally:
            schedule.stop()
    return schedule.failures


class _Schedule:
    """What waits, what runs where, and what has failed."""

    def __init__(self, jobs: Sequence[Job], places: Sequence[Place], watcher: Watcher) -> None:
        self.waiting, self.free, self.watcher = list(jobs), list(places), watcher
        self.running = dict[Job, tuple[Place, Started]]()
        self.failures = dict[str, str]()
        self.lost_once = dict[str, str]()  # why, of each job
        self.gone = set[str]()  # hosts

    def give_up_what_cannot_run(self) -> None:
        for job in [job for job in self.waiting if job.needs in self.failures]:
            self.waiting.remove(job)
            self._end(job, f"not run: its teacher {job.needs} failed: {self.failures[str(job.needs)]}")
        if not self.free and not self.running:
            for job in self.waiting:
                self._end(job, self.lost_once.get(job.name) or f"not run: no machine is left: {', '.join(self.gone)}")
            self.waiting = []

    def start_what_can_run(self) -> None:
        unfinished = {job.name for job in (*self.waiting, *self.running)}
        ready = [job for job in self.waiting if job.needs not in unfinished]
        for job in ready[: len(self.free)]:
            self.waiting.remove(job)
            place = self.free.pop(0)
            with deferred():  # a process that is not listed yet would not be waited for
                self.running[job] = place, place.start(job)
            self.watcher.started(job, place.host)

    def see_what_has_ended(self) -> None:
        for job, (place, started) in list(self.running.items()):
            if (ended := started.poll()) is None:
                continue
            del self.running[job]
            if ended.lost and place.host is not None:
                self.gone.add(place.host)
                self.free = [other for other in self.free if other.host not in self.gone]
            if place.host is None or place.host not in self.gone:
                self.free.append(place)
            if ended.lost and job.name not in self.lost_once:
                self.lost_once[job.name] = str(ended.failure)
                self.waiting.insert(0, job)
                self.watcher.lost(job, str(ended.failure))
            else:
                self._end(job, ended.failure)

    def stop(self) -> dict[str, str]:
        """End what runs, and wait until it has saved what it did: the last line of each one's log."""
        for _, started in self.running.values():
            started.ask_to_end()
        deadline = time.monotonic() + PATIENCE_SECONDS
        last = {}
        while self.running:
            job, (_, started) = self.running.popitem()
            started.wait(max(0.0, deadline - time.monotonic()))
            last[job.name] = job.last_line()
        return last

    def _end(self, job: Job, failure: str | None) -> None:
        if failure is not None:
            self.failures[job.name] = failure
        self.watcher.ended(job, failure)
