"""Image files in a folder, each with its class."""

import os
import stat
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
import pyarrow
import torch
from numpy.typing import NDArray

HEAD = 32
MOST_BYTES = 2**30
"""The largest file that is read: a gibibyte."""


class Listed:
    """Image files by their paths.

    Args:
        root: the folder that they lie in.
        paths: of the files in it, in order.
        labels: their classes' numbers; or (N, K) zeros and ones, of images that may have several.
        classes: the classes' names.
    """

    def __init__(
        self, root: Path, paths: Sequence[str], labels: Sequence[int] | torch.Tensor, classes: Sequence[str]
    ) -> None:
        self.root, self.classes, self.bits = root, tuple(classes), 16
        # One block of memory: Python's strings would be copied into every worker process, a page at a time.
        # Bytes: a name need not be valid UTF-8.
        self.paths = pyarrow.array(map(os.fsencode, paths), pyarrow.large_binary())
        self.labels = labels if isinstance(labels, torch.Tensor) else torch.tensor(labels, dtype=torch.int64)

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, row: int) -> bytes:
        """The file's content."""
        path = Path(self.name(row))
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # a pipe would be waited for, a device has no end
            raise ValueError("it is no regular file")
        if status.st_size > MOST_BYTES:
            raise ValueError(
                f"it has {status.st_size / 2**30:.1f} GiB, more than the {MOST_BYTES / 2**30:.0f} that are read"
            )
        return path.read_bytes()

    def head(self, row: int) -> bytes:
        """The file's first bytes."""
        path = self.name(row)
        try:
            if not stat.S_ISREG(Path(path).stat().st_mode):
                return b""
            with Path(path).open("rb", buffering=0) as file:
                return file.read(HEAD)
        except OSError:
            return b""

    def name(self, row: int) -> str:
        """The file's path."""
        return os.fsdecode(os.path.join(os.fsencode(self.root), self.key(row)))  # noqa: PTH118 - of bytes

    def key(self, row: int) -> bytes:
        """The file's path inside of the folder."""
        content: bytes = self.paths[row].as_py()
        return content

    def sizes(self) -> NDArray[np.int64]:
        """Bytes of every file."""
        return np.array([_size(self.name(row)) for row in range(len(self))], np.int64)

    def stamp(self, changes: bool = False) -> str:
        """Paths, sizes and modification times of all files; of a link to nothing, that it is one.

        With ``changes``, the times of their last change, which nobody can set, as well.
        """
        digest = sha256(os.fsencode(self.root.resolve()))
        for row, path in enumerate(self.paths.to_pylist()):
            digest.update(path + f"\0{_state(self.name(row), changes)}\n".encode())
        return digest.hexdigest()


def _size(path: str) -> int:
    try:
        status = Path(path).stat()
    except OSError:
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else 0


def _state(path: str, changes: bool) -> str:
    try:
        status = Path(path).stat()
    except OSError as error:  # whoever reads the image will say so
        return str(error.errno)
    return f"{status.st_size}\0{status.st_mtime_ns}" + (f"\0{status.st_ctime_ns}" if changes else "")
