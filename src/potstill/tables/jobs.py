"""Commands, several at once: each in a process of its own, with its share of the processor and a log."""

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from potstill.cores import cores
from potstill.errors import BadInput
from potstill.say import say
from potstill.signals import ENDINGS, deferred, ending, handled, kill_with_parent
from potstill.whole_file import open_to_append

POLL_SECONDS = 0.1
PATIENCE_SECONDS = 60.0  # between asking a process to end and ending it: it finishes a step and saves it


@dataclass(frozen=True)
class Job:
    """A command to run.

    Args:
        name: unique.
        command: its words.
        log: the file its output is added to.
        needs: another job, which has to succeed first; if it is not among those to run, it has.
    """

    name: str
    command: tuple[str, ...]
    log: Path
    needs: str | None = None


class Watcher(Protocol):
    """Who is told what happens."""

    def started(self, job: Job) -> None:
        """A process has been started."""

    def ended(self, job: Job, failure: str | None) -> None:
        """It has ended, well or for this reason; or is not run at all."""

    def tick(self) -> None:
        """Some time has passed."""


def run_jobs(jobs: Sequence[Job], at_once: int, watcher: Watcher) -> dict[str, str]:
    """Run commands, at most ``at_once`` at a time, in this order but for what has to wait for another.

    Returns:
        For each job that failed, or was not run because it needs one that did, the reason.

    Raises:
        BadInput: ``at_once`` is below 1.
        KeyboardInterrupt: this process was interrupted; by then all children have saved what they did, and ended.
        SystemExit: it was terminated, likewise. However it dies, its children are told to end.
    """
    if at_once < 1:
        raise BadInput(f"--jobs must be positive, not {at_once}")
    waiting, running, failures = list(jobs), dict[Job, subprocess.Popen[bytes]](), dict[str, str]()
    environment = {"OMP_NUM_THREADS": str(max(1, cores() // at_once)), **os.environ}
    with handled():
        try:
            while waiting or running:
                for job in [job for job in waiting if job.needs in failures]:
                    waiting.remove(job)
                    failures[job.name] = f"not run: its teacher {job.needs} failed: {failures[str(job.needs)]}"
                    watcher.ended(job, failures[job.name])
                for job in _ready(waiting, running)[: at_once - len(running)]:
                    waiting.remove(job)
                    with deferred():  # a process that is not listed yet would not be waited for
                        running[job] = _start(job, environment)
                    watcher.started(job)
                for job in [job for job, process in running.items() if process.poll() is not None]:
                    failure = _failure(job, running.pop(job).returncode)
                    if failure is not None:
                        failures[job.name] = failure
                    watcher.ended(job, failure)
                watcher.tick()
                time.sleep(POLL_SECONDS)
        except ENDINGS:
            with ending():
                for name, last in _stop(running).items():
                    say(f"{name}: {last}")
            raise
        finally:
            _stop(running)
    return failures


def _ready(waiting: Sequence[Job], running: dict[Job, "subprocess.Popen[bytes]"]) -> list[Job]:
    unfinished = {job.name for job in (*waiting, *running)}
    return [job for job in waiting if job.needs not in unfinished]


def _start(job: Job, environment: dict[str, str]) -> "subprocess.Popen[bytes]":
    job.log.parent.mkdir(parents=True, exist_ok=True)
    with open_to_append(job.log) as log:
        return subprocess.Popen(
            job.command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            process_group=0,  # a Ctrl-C comes to us alone, and we pass it on, once
            preexec_fn=partial(kill_with_parent, signal.SIGTERM, os.getpid()),
        )


def _failure(job: Job, code: int) -> str | None:
    """Why a process that ended with ``code`` failed: the last line of its log, or the signal that killed it."""
    if code == 0:
        return None
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return _last_line(job) or f"exit code {code}"


def _last_line(job: Job) -> str:
    lines = job.log.read_text(errors="replace").split("\n")
    said = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return said.removeprefix("potstill: ")


def _stop(running: "dict[Job, subprocess.Popen[bytes]]") -> dict[str, str]:
    """End processes, and wait until they have saved what they did: the last line of each one's log."""
    for process in running.values():
        process.terminate()
    deadline = time.monotonic() + PATIENCE_SECONDS
    last = {}
    while running:
        job, process = running.popitem()
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        last[job.name] = _last_line(job)
    return last
