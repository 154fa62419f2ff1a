"""One process at a time in a run folder."""

import os
import platform
import time
from pathlib import Path

from filelock import FileLock, Timeout

from potstill.errors import BadInput
from potstill.runs.reading import read_json, write_json
from potstill.say import say


class Lock:
    """The right to write into ``folder``, which ends with the process at the latest, even a killed one.

    Two hidden files: the lock itself, and who holds it, for the message to whoever waits.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lock = FileLock(folder / ".lock")
        self.holder = folder / ".holder.json"

    def take(self) -> None:
        """Take the lock; if another process has it, say which one on stderr and wait until it ends."""
        try:
            self.lock.acquire(timeout=0)
        except Timeout:
            say(f"{self.folder} is being trained by {self._who()}; waiting for it to end")
            self.lock.acquire()
        now = time.strftime("%Y-%m-%d %H:%M:%S")
        write_json(self.holder, {"process": os.getpid(), "machine": platform.node(), "since": now})

    def release(self) -> None:
        """Let the next process in."""
        self.holder.unlink(missing_ok=True)
        self.lock.release()

    def _who(self) -> str:
        try:
            return "process {process} on {machine} since {since}".format(**read_json(self.holder))
        except (BadInput, KeyError, TypeError):  # it has only just taken the lock
            return "another process"
