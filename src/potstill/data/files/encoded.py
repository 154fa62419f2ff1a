"""Images as they lie on disk, still encoded: what a loader's workers decode."""

from typing import Protocol

from torch import Tensor

EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".ppm", ".pgm", ".tif", ".tiff")


class Encoded(Protocol):
    """One split of labelled image files, row by row. It travels to worker processes, so it holds no open file."""

    labels: Tensor
    """The classes (N,) as int64."""

    def __len__(self) -> int: ...

    def read(self, row: int) -> bytes:
        """The content of the image file; ``OSError`` if it cannot be read, ``ValueError`` if there is none."""
        ...

    def name(self, row: int) -> str:
        """Where the image lies, for messages."""
        ...

    def stamp(self) -> str:
        """A text that changes when any of the files does."""
        ...
