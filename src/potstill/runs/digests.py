"""Sizes and digests of files, each read once."""

import os
import time
from hashlib import file_digest, sha256
from pathlib import Path
from typing import TypedDict

from potstill.errors import BadInput
from potstill.runs.json_text import MOST_BYTES


class State(TypedDict):
    """What a file holds."""

    sha256: str
    bytes: int


_known: dict[tuple[str, int, int, int], str] = {}
SETTLED_NANOSECONDS = 1_000_000_000
"""A younger file may change once more within the same tick of the file system's clock."""


def state_of(file: Path) -> State | None:
    """Size and digest of a file, which is read once as long as it does not change; None if there is none.

    Raises:
        BadInput: it is no file, or cannot be read.
    """
    if not there(file):
        return None
    try:
        with file.open("rb") as content:
            status = os.fstat(content.fileno())
            key = (str(file.absolute()), status.st_ino, status.st_size, status.st_mtime_ns)
            digest = _known.get(key) or file_digest(content, "sha256").hexdigest()
    except OSError as error:
        raise BadInput(f"{file} cannot be read: {error.strerror}") from error
    if time.time_ns() - status.st_mtime_ns > SETTLED_NANOSECONDS:
        _known[key] = digest
    return {"sha256": digest, "bytes": status.st_size}


def state_of_bytes(content: bytes) -> State:
    """The state of a file that holds this."""
    return {"sha256": sha256(content).hexdigest(), "bytes": len(content)}


def bytes_of(file: Path) -> bytes | None:
    """All that is in a file of text; None if there is none.

    Raises:
        BadInput: it is no file, cannot be read, or is too large for one of a run's.
    """
    if not there(file):
        return None
    try:
        with file.open("rb") as content:
            found = content.read(MOST_BYTES + 1)
    except OSError as error:
        raise BadInput(f"{file} cannot be read: {error.strerror}") from error
    if len(found) > MOST_BYTES:
        raise BadInput(f"{file} is damaged: it has more than {MOST_BYTES:,} bytes")
    return found


def there(file: Path) -> bool:
    """Whether there is a file; opening anything else, a pipe for example, might wait for ever.

    Raises:
        BadInput: something else is in its place, or a link that leads nowhere.
    """
    try:
        if file.is_file():
            return True
        if not file.is_symlink() and not file.exists():
            return False
    except OSError as error:  # the folder must not be looked into, or a name is too long
        raise BadInput(f"{file} cannot be read: {error.strerror}") from error
    raise BadInput(f"{file} is not a file: a {_kind(file)} is in its place")


def _kind(file: Path) -> str:
    if file.is_dir():
        return "folder"
    return "link that leads nowhere" if file.is_symlink() and not file.exists() else "pipe or device"
