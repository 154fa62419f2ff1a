"""A job as a child process of ours."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from potstill.signals import kill_with_parent
from potstill.tables.jobs import Ended, Job
from potstill.whole_file import open_to_append


class Process:
    """A child process, which ends with its parent.

    Args:
        job: whose log its output is added to.
        command: the words to execute for it.
        environment: what it sees.
        folder: where it works; by default where we do.
    """

    def __init__(
        self, job: Job, command: Sequence[str], environment: Mapping[str, str], folder: Path | None = None
    ) -> None:
        self.job = job
        job.log.parent.mkdir(parents=True, exist_ok=True)
        with open_to_append(job.log) as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                cwd=folder,
                process_group=0,  # a Ctrl-C comes to us alone, and we pass it on, once
                preexec_fn=partial(kill_with_parent, signal.SIGTERM, os.getpid()),
            )

    def poll(self) -> Ended | None:
        """How it ended; None while it runs."""
        code = self.process.poll()
        return None if code is None else Ended(failure_of(self.job, code))

    def ask_to_end(self) -> None:
        """Send it SIGTERM."""
        self.process.terminate()

    def wait(self, seconds: float) -> None:
        """Wait for its end, and kill it if that takes too long."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def failure_of(job: Job, code: int) -> str | None:
    """Why a process that ended with ``code`` failed: the last line of its log, or the signal that killed it."""
    if code == 0:
        return None
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return job.last_line() or f"exit code {code}"
