"""One process at a time in a run folder."""

import errno
import fcntl
import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import NotRequired, TypedDict

from potstill.errors import BadInput
from potstill.runs.reading import read_json
from potstill.runs.shapes import check
from potstill.say import say
from potstill.whole_file import write_whole

NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EIO, errno.EINVAL)
"""What file systems answer that have no locks, or whose locks do not work."""
POLL_SECONDS = 0.2
SAY_SECONDS = 60.0
TORN_SECONDS = 5.0
"""How long a file that says who holds a folder may take to be written."""


class Holder(TypedDict):
    """Who holds a folder; ``started``: when the process did, in the kernel's ticks, since numbers are given again."""

    process: int
    machine: str
    since: str
    started: NotRequired[str | None]


class Lock:
    """The right to write into ``folder``, which ends with the process at the latest, even a killed one.

    Two hidden files: the lock itself, and who holds it, for the message to whoever waits. Where the file system has no
    locks, the second one is the lock: whoever makes it has it, and one of a process that is gone is taken over.

    Args:
        folder: which.
        flock: how a file is locked.
    """

    def __init__(self, folder: Path, flock: Callable[[int, int], None] = fcntl.flock) -> None:
        self.folder, self.flock = folder, flock
        self.holder = folder / ".holder.json"
        self.file: int | None = None

    def take(self) -> None:
        """Take the lock; if another process has it, say which one on stderr and wait until it ends."""
        file = self._open()
        try:
            locks = self._wait(lambda: self._try_lock(file), "")
        except BaseException:
            os.close(file)
            raise
        if locks:
            write_whole(self.holder, _me())
        else:
            say(f"{self.folder} lies on a file system without locks: {self.holder.name} in it says who writes there")
            self._wait(self._try_holder, f" (if that is gone, delete {self.holder})")
        self.file = file

    def release(self) -> None:
        """Let the next process in."""
        self.holder.unlink(missing_ok=True)
        if self.file is not None:
            os.close(self.file)  # which unlocks it
            self.file = None

    def _open(self) -> int:
        path = self.folder / ".lock"
        flags = os.O_RDWR | os.O_CREAT | os.O_NONBLOCK | getattr(os, "O_NOFOLLOW", 0)
        try:
            return os.open(path, flags, 0o666)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
                raise BadInput(f"{path} is not the lock of a run ({error.strerror}); remove it") from error
            raise

    def _wait(self, attempt: Callable[[], bool | None], hint: str) -> bool:
        """Try until it is decided; every minute, say who is waited for, and the hint."""
        told = -SAY_SECONDS
        while (decided := attempt()) is None:
            if time.monotonic() - told >= SAY_SECONDS:
                told = time.monotonic()
                say(f"{self.folder} is being trained by {self._who()}{hint}; waiting for it to end")
            time.sleep(POLL_SECONDS)
        return decided

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

    def _try_holder(self) -> bool | None:
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0)
        try:
            file = os.open(self.holder, flags, 0o666)
        except FileExistsError:
            if self._is_abandoned():
                self.holder.unlink(missing_ok=True)
            return None
        with os.fdopen(file, "wb") as content:
            content.write(_me())
        return True

    def _is_abandoned(self) -> bool:
        """Whether whoever holds the folder is known to be gone: a process of this machine, or one killed at once."""
        found = self._read_holder()
        if found is None:
            return self.holder.is_symlink() or _age(self.holder) > TORN_SECONDS
        return found["machine"] == platform.node() and not _is_alive(found)

    def _who(self) -> str:
        found = self._read_holder()
        if found is None:  # it has only just taken the lock
            return "another process"
        return "process {process} on {machine} since {since}".format(**found)

    def _read_holder(self) -> Holder | None:
        try:
            return check(read_json(self.holder), Holder)
        except ValueError:  # not there, or being written; BadInput is one
            return None


def _me() -> bytes:
    now = time.strftime("%Y-%m-%d %H:%M:%S")
    me = {"process": os.getpid(), "machine": platform.node(), "since": now, "started": _started(os.getpid())}
    return (json.dumps(me) + "\n").encode()


def _is_alive(holder: Holder) -> bool:
    try:
        os.kill(holder["process"], 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # of another user
        pass
    started = holder.get("started")
    return started is None or started == _started(holder["process"])


def _started(process: int) -> str | None:
    """When a process started, in ticks since the machine did; None where the system does not tell."""
    try:
        text = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return None
    return text.rpartition(")")[2].split()[19]


def _age(file: Path) -> float:
    try:
        return time.time() - file.lstat().st_mtime
    except FileNotFoundError:
        return 0.0
