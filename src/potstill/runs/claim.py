"""A claim on a run folder that holds on network file systems, where the lock of one host's kernel is not enough.

It is a file that is made whole in one step, which succeeds for one process alone, and touched every few seconds from
then on. The times of files are compared with each other only, never with a machine's clock: they are all the file
system's. A claim that has not been touched for long is somebody's who is gone, and is replaced by another one, again in
one step. Whoever was only asleep finds that before it writes, and writes no more.
"""

import contextlib
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from threading import Event, Thread

from potstill.errors import TrainingFailed
from potstill.runs.holder import MISSED, Holder, called, read_holder, this_machine, this_process

NO_LINKS = (errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EMLINK, errno.EINVAL)
"""What file systems answer that have no hard links."""
BEAT_SECONDS = 20.0
JOIN_SECONDS = 5.0
NEW = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0)

_held: dict[str, "Claim"] = {}


@dataclass(frozen=True)
class Found:
    """Another's claim.

    Args:
        content: of its file; empty for what is no file.
        time: when it was touched last, by the file system's clock.
    """

    content: bytes
    time: float

    @property
    def holder(self) -> Holder | None:
        """Whose it is; None if it does not say."""
        return read_holder(self.content)


class Claim:
    """A claim on ``folder``.

    Args:
        folder: which.
        machine: what messages call this machine.
        beat: seconds between two touches.
    """

    def __init__(self, folder: Path, machine: str | None = None, beat: float = BEAT_SECONDS) -> None:
        self.folder, self.file = folder, folder / ".holder.json"
        self.content = this_process(machine or this_machine(), beat)
        self.beat, self.over = beat, Event()
        self.thread = Thread(target=self._touch_on, name="potstill-claim", daemon=True)

    def make(self) -> bool:
        """Whether the folder is ours now; False where there is a claim already."""
        with self._draft(self.content) as draft:
            try:
                os.link(draft, self.file, follow_symlinks=False)
            except (FileExistsError, FileNotFoundError):  # or the draft is gone: swept away by who has the folder now
                pass
            except OSError as error:
                if error.errno not in NO_LINKS:
                    raise
                return _made_alone(self.file, self.content)
            # Whatever was answered: an answer of a network file system can get lost.
            return draft.exists() and draft.stat().st_nlink == 2

    def found(self) -> Found | None:
        """The claim that is there, whoever's it is; None if there is none."""
        try:  # opened anew each time, which is when network file systems look whether it has changed
            descriptor = os.open(self.file, os.O_RDONLY | os.O_NONBLOCK | getattr(os, "O_NOFOLLOW", 0))
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno == errno.ELOOP:
                return Found(b"", 0.0)
            raise
        with os.fdopen(descriptor, "rb") as file:
            return Found(file.read(), os.fstat(file.fileno()).st_mtime)

    def age(self, found: Found) -> float:
        """Seconds since it was touched, by the file system's clock."""
        with self._draft(b"") as draft, contextlib.suppress(FileNotFoundError):
            return draft.stat().st_mtime - found.time
        return 0.0  # the draft was swept away by somebody who has the folder now

    def take_over(self, found: Found) -> bool:
        """Put our claim in the place of that one; False if somebody else was quicker."""
        guard = self.folder / f".holder.{sha256(found.content).hexdigest()[:16]}.taken"  # one process alone has it
        if not _made_alone(guard, b""):
            with contextlib.suppress(FileNotFoundError):  # it has just been removed
                if self.age(Found(b"", guard.stat().st_mtime)) > MISSED * self.beat:  # who made it was killed here
                    guard.unlink()
            return False
        try:
            if self.found() != found:  # it was taken over by another, or given up, or touched after all
                return False
            with self._draft(self.content) as draft:
                draft.replace(self.file)
        finally:
            guard.unlink(missing_ok=True)
        return True

    def begin(self) -> None:
        """Give signs of life from now on, and stop whoever writes here once the claim is lost."""
        _held[os.path.abspath(self.folder)] = self  # noqa: PTH100 - the folder may be a link
        self.thread.start()

    def end(self) -> None:
        """Give the claim up, if it is still ours."""
        _held.pop(os.path.abspath(self.folder), None)  # noqa: PTH100
        self.over.set()
        if self.thread.is_alive():
            self.thread.join(JOIN_SECONDS)
        found = self.found()
        if found is not None and found.content == self.content:
            self.file.unlink(missing_ok=True)

    def must_hold(self) -> None:
        """Refuse to go on if somebody else has the folder.

        Raises:
            TrainingFailed: somebody has; the message says who.
        """
        found = self.found()
        while found is None and not self.make():  # somebody has removed ours by hand, and nobody has another
            found = self.found()
        if found is not None and found.content != self.content:
            raise TrainingFailed(
                f"{self.folder} was taken over by {called(found.holder)}, because this process gave no sign of life "
                f"for {MISSED * self.beat:g} seconds; it stops, and the other one goes on"
            )

    def _touch_on(self) -> None:
        while not self.over.wait(self.beat):
            # A file system that does not answer now may do so at the next beat; and a claim that was lost is not
            # touched any more: whoever writes next is told.
            with contextlib.suppress(OSError, TrainingFailed):
                self.must_hold()
                self._touch()

    def _touch(self) -> None:
        descriptor = os.open(self.file, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
        try:
            if os.read(descriptor, len(self.content) + 1) == self.content:  # nobody else's is kept alive
                os.utime(descriptor)  # to now, by the file system's clock
        finally:
            os.close(descriptor)

    @contextmanager
    def _draft(self, content: bytes) -> Iterator[Path]:
        draft = self.file.with_name(f".{self.file.name}.{token_hex(4)}.draft")
        _made_alone(draft, content)
        try:
            yield draft
        finally:
            draft.unlink(missing_ok=True)


def must_hold(folder: Path) -> None:
    """Refuse to go on if this process has claimed the folder and lost it.

    Raises:
        TrainingFailed: it has.
    """
    if (claim := _held.get(os.path.abspath(folder))) is not None:  # noqa: PTH100
        claim.must_hold()


def _made_alone(file: Path, content: bytes) -> bool:
    """Make a file; False if there is one."""
    try:
        descriptor = os.open(file, NEW, 0o666)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "wb") as new:
        new.write(content)
        new.flush()
        os.fsync(new.fileno())
    return True
