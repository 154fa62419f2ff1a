"""Files that are whole or absent, whatever happens while they are written: the one way to write a file here."""

import contextlib
import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from glob import escape
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO

from potstill.errors import BadInput

NO_FOLDER_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES)
"""What file systems answer that have no order of renames to keep, or a folder that may be written but not read."""


@contextmanager
def drafted(path: Path, check: Callable[[], None] = lambda: None) -> Iterator[Path]:
    """A new, empty file beside ``path`` to write into, which takes its place at the end of the ``with`` block.

    Nobody can know the draft's name beforehand, and it is made where nothing was: it follows no link that lies there
    already. If the block raises, ``path`` stays as it was and the draft is gone; a killed process leaves it behind.
    Content and name are on the disk afterwards, in this order, so that a loss of power leaves the old or the new. Right
    before the draft takes its place, ``check`` may still refuse by raising.

    Raises:
        OSError: the disk is full, or the like.
    """
    draft = _draft_of(path)
    os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0), 0o666))
    try:
        yield draft
        _sync(draft)
        check()
        draft.replace(path)
        _sync_folder(path.parent)
    except BaseException:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        raise


def write_whole(
    path: Path,
    content: bytes,
    *,
    read_back: bool = False,
    keep: Path | None = None,
    check: Callable[[], None] = lambda: None,
) -> None:
    """Write a file so that, whatever happens, either the old content or the new is there.

    Args:
        path: the file.
        content: all of it.
        read_back: read it from the disk again before it takes its place.
        keep: the name under which the old file stays, once the new one is known to be good.
        check: may refuse by raising, right before anything changes.

    Raises:
        OSError: the disk is full, or the like, or gives back other bytes than it got; nothing is left behind.
    """
    with drafted(path, check) as draft:
        draft.write_bytes(content)
        if read_back:
            _sync(draft)
            _must_hold(draft, content)
        if keep is not None and path.is_file():
            check()
            _keep(path, keep)


def open_to_append(path: Path) -> BinaryIO:
    """Open a file to add to it, which is made if need be; a link in its place is not followed.

    Raises:
        OSError: it is a link, a folder, or the like.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | getattr(os, "O_NOFOLLOW", 0)
    return os.fdopen(os.open(path, flags, 0o666), "ab")


def make_folder(folder: Path, inside: Path) -> None:
    """Make a folder somewhere inside of another, through no link: what is written into it stays inside.

    Raises:
        BadInput: a part of the way is a link.
    """
    for part in reversed([folder, *folder.parents]):
        if part != inside and part.is_relative_to(inside):
            if part.is_symlink():
                raise BadInput(f"{part} is a link that leads out of the run folder; nothing is written through it")
            part.mkdir(exist_ok=True)


def remove_drafts(folder: Path, name: str | None = None) -> None:
    """Remove what killed processes left of the file ``name`` in ``folder``; of any file there by default.

    To be called by whoever holds the lock of that folder or file: nobody else is writing there then.
    """
    for draft in folder.glob(f".{'*' if name is None else escape(name)}.????????.draft"):
        draft.unlink(missing_ok=True)


def remove(file: Path) -> None:
    """Remove a file if it is there; it stays so after a loss of power."""
    file.unlink(missing_ok=True)
    _sync_folder(file.parent)


def _draft_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.{token_hex(4)}.draft")


def _keep(path: Path, under: Path) -> None:
    """Give a file a second name, in the place of what had that; a copy of it where there are no hard links."""
    draft = _draft_of(under)
    try:
        os.link(path, draft, follow_symlinks=False)
    except OSError:  # there are none on this file system
        with drafted(under) as copy:
            shutil.copyfile(path, copy)
        return
    draft.replace(under)
    draft.unlink(missing_ok=True)  # two names of one file: of a process killed right here, and nothing was moved


def _must_hold(file: Path, content: bytes) -> None:
    with file.open("rb") as back:
        if hasattr(os, "posix_fadvise"):  # not what the system still has in memory
            os.posix_fadvise(back.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        if back.read() != content:
            raise OSError(errno.EIO, "the disk gives back other bytes than were written", str(file))


def _sync(file: Path) -> None:
    with file.open("rb+") as written:
        os.fsync(written.fileno())


def _sync_folder(folder: Path) -> None:
    try:
        descriptor = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    except OSError as error:
        if error.errno in NO_FOLDER_SYNC:
            return
        raise
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in NO_FOLDER_SYNC:
            raise
    finally:
        os.close(descriptor)
