"""Images as they lie on disk, still encoded: what a loader's workers decode."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".ppm", ".pgm", ".tif", ".tiff")


def is_image(file: str) -> bool:
    """Whether a file is an image by its name."""
    return file.lower().endswith(EXTENSIONS)


class Encoded(Protocol):
    """One split of labelled image files, row by row. It travels to worker processes, so it holds no open file."""

    labels: Tensor
    """The classes (N,) as int64, `NO_LABEL` for none; or (N, K) zeros and ones, of images that may have several."""
    bits: int
    """How many bits its 16-bit images use; see `potstill.data.files.depth`."""

    def __len__(self) -> int: ...

    def read(self, row: int) -> bytes:
        """The content of the image file; ``OSError`` if it cannot be read, ``ValueError`` if there is none."""
        ...

    def head(self, row: int) -> bytes:
        """The file's first 32 bytes; none if it cannot be read."""
        ...

    def name(self, row: int) -> str:
        """Where the image lies, for messages."""
        ...

    def key(self, row: int) -> bytes:
        """What it is called inside of the set, wherever that lies."""
        ...

    def sizes(self) -> NDArray[np.int64]:
        """Bytes of every file; 0 for one that cannot be read."""
        ...

    def stamp(self, changes: bool = False) -> str:
        """A text that changes when any of the files does; with ``changes``, even if it has its old time again."""
        ...
