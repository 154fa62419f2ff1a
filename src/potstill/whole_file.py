"""Files that are whole or absent, whatever happens while they are written: the one way to write a file here."""

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from glob import escape
from pathlib import Path
from secrets import token_hex


@contextmanager
def drafted(path: Path) -> Iterator[Path]:
    """A new, empty file beside ``path`` to write into, which takes its place at the end of the ``with`` block.

    Nobody can know the draft's name beforehand, and it is made where nothing was: it follows no link that lies there
    already. If the block raises, ``path`` stays as it was and the draft is gone; a killed process leaves it behind.

    Raises:
        OSError: the disk is full, or the like.
    """
    draft = path.with_name(f".{path.name}.{token_hex(4)}.draft")
    os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0), 0o666))
    try:
        yield draft
        with draft.open("rb+") as file:
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        raise


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that, whatever happens, either the old content or the new is there.

    Raises:
        OSError: the disk is full, or the like; nothing is left behind.
    """
    with drafted(path) as draft:
        draft.write_bytes(content)


def remove_drafts(folder: Path, name: str | None = None) -> None:
    """Remove what killed processes left of the file ``name`` in ``folder``; of any file there by default.

    To be called by whoever holds the lock of that folder or file: nobody else is writing there then.
    """
    for draft in folder.glob(f".{'*' if name is None else escape(name)}.????????.draft"):
        draft.unlink(missing_ok=True)
