"""One process at a time in a run folder."""

import errno
import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path

from potstill.errors import BadInput
from potstill.runs.claim import BEAT_SECONDS, Claim, Found
from potstill.runs.holder import called, is_alive, is_here, limit, this_machine
from potstill.say import say

NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EIO, errno.EINVAL)
"""What file systems answer that have no locks, or whose locks do not work."""
POLL_SECONDS = 0.2
SAY_SECONDS = 60.0
TORN_SECONDS = 5.0
"""How long a file that says who holds a folder may take to be written."""


class Lock:
    """The right to write into ``folder``, which ends with the process at the latest, even a killed one.

    Two hidden files: the kernel's lock, which is gone with its process, and a claim (see `potstill.runs.claim`), which
    other machines see, too. A claim is taken over at once if its process is known to be gone: it was one of this
    machine, or of an earlier version, whose lock is free. One of another machine is when it has not been touched for
    three minutes.

    Args:
        folder: which.
        flock: how a file is locked.
        machine: what messages call this machine.
        beat: seconds between two signs of life; nine missed ones are an end.
    """

    def __init__(
        self,
        folder: Path,
        flock: Callable[[int, int], None] = fcntl.flock,
        machine: str | None = None,
        beat: float = BEAT_SECONDS,
    ) -> None:
        self.folder, self.flock, self.machine = folder, flock, machine or this_machine()
        self.claim = Claim(folder, self.machine, beat)
        self.file: int | None = None
        self.locks = True
        self.seen = b"", 0.0, 0.0  # another's claim, when its age was looked up, and what that was

    def take(self) -> None:
        """Take the folder; if another process has it, say which one on stderr and wait until it ends."""
        file = self._open()
        try:
            self.locks = self._wait(lambda: self._try_lock(file))
            if not self.locks:
                say(f"{self.folder} lies on a file system without locks: {self._name} in it says who writes there")
            self._wait(self._try_claim)
        except BaseException:
            os.close(file)
            raise
        self.file = file
        self.claim.begin()

    def release(self) -> None:
        """Let the next process in."""
        self.claim.end()
        if self.file is not None:
            os.close(self.file)  # which unlocks it
            self.file = None

    @property
    def _name(self) -> str:
        return self.claim.file.name

    def _open(self) -> int:
        path = self.folder / ".lock"
        flags = os.O_RDWR | os.O_CREAT | os.O_NONBLOCK | getattr(os, "O_NOFOLLOW", 0)
        try:
            return os.open(path, flags, 0o666)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
                raise BadInput(f"{path} is not the lock of a run ({error.strerror}); remove it") from error
            raise

    def _wait(self, attempt: Callable[[], bool | None]) -> bool:
        """Try until it is decided; every minute, say who is waited for, and when that has an end."""
        told = -SAY_SECONDS
        while (decided := attempt()) is None:
            if time.monotonic() - told >= SAY_SECONDS:
                told = time.monotonic()
                found = self.claim.found()
                who = called(None if found is None else found.holder)
                say(f"{self.folder} is being trained by {who}{self._hint(found)}; waiting for it to end")
            time.sleep(POLL_SECONDS)
        return decided

    def _hint(self, found: Found | None) -> str:
        holder = None if found is None else found.holder
        if holder is None or is_here(holder, self.machine):
            return ""
        if seconds := limit(holder):
            return f" (taken over when it has given no sign of life for {seconds:g} seconds)"
        return "" if self.locks else f" (if that is gone, delete {self.claim.file})"

    def _try_lock(self, file: int) -> bool | None:
        """Whether the lock was got; False where there are no locks, None while another process has it."""
        try:
            self.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return None
        except OSError as error:
            if error.errno in NO_LOCKS:
                return False
            raise
        return True

    def _try_claim(self) -> bool | None:
        if self.claim.make():
            return True
        found = self.claim.found()
        return True if found is not None and self._is_abandoned(found) and self.claim.take_over(found) else None

    def _is_abandoned(self, found: Found) -> bool:
        """Whether whoever made a claim is gone."""
        holder = found.holder
        if holder is None:  # killed at once
            return self._is_older(found, TORN_SECONDS)
        if is_here(holder, self.machine):
            return self.locks or not is_alive(holder)
        if seconds := limit(holder):
            return self._is_older(found, seconds)
        return self.locks

    def _is_older(self, found: Found, seconds: float) -> bool:
        """Whether a claim was touched longer ago than that; not looked up at every turn: it takes a file to be made."""
        content, since, age = self.seen
        if content != found.content or time.monotonic() - since > min(self.claim.beat / 2, seconds / 5):
            age = self.claim.age(found)
            self.seen = found.content, time.monotonic(), age
        return age > seconds
