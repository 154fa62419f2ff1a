"""What every image of a set is like: read, decoded and measured once, by the loader's own reader."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from potstill.data.files.decoding import BadImage
from potstill.data.files.encoded import Encoded
from potstill.data.files.reading import Reader
from potstill.data.files.workers import alive, first_thing
from potstill.data.images import ImageSet
from potstill.data.pictures import opened
from potstill.errors import BadInput
from potstill.say import say

DIGEST = 16
"""Bytes of a digest: two images in a million of a million are the same by chance less often than a disk errs."""
AT_ONCE = 32
FEW = 200
"""Images up to which to start processes takes longer than to look."""
PROGRESS_SECONDS = 10.0


@dataclass(frozen=True)
class Facts:
    """What is known of every image, row by row; why some cannot be read.

    ``contents`` and ``pixels`` are digests of the file and of what it shows; ``modes`` are Pillow's names of the kinds
    of pixels, ``mode`` the number of an image's.
    """

    sizes: NDArray[np.int32]
    contents: NDArray[np.void]
    pixels: NDArray[np.void]
    mode: NDArray[np.uint8]
    modes: list[str] = field(default_factory=list)
    reasons: dict[int, str] = field(default_factory=dict)

    @staticmethod
    def empty(count: int) -> "Facts":
        """Of that many images, nothing yet."""
        contents, pixels = (np.zeros(count, f"V{DIGEST}") for _ in range(2))
        return Facts(np.zeros((count, 2), np.int32), contents, pixels, np.zeros(count, np.uint8))

    @property
    def good(self) -> NDArray[np.bool_]:
        """Which images can be read."""
        return self.sizes[:, 0] > 0


def of_files(images: Encoded, workers: int, what: str) -> Facts:
    """Look at all images of a split; ``what`` is what progress calls them.

    Raises:
        BadInput: a file that holds many of them is damaged.
    """
    count, spoken, done = len(images), time.monotonic(), 0
    facts = Facts.empty(count)
    numbers: dict[str, int] = {}
    groups = [list(range(start, min(start + AT_ONCE, count))) for start in range(0, count, AT_ONCE)]
    loader: DataLoader[Any] = DataLoader(
        _Looked(images),
        batch_size=None,
        sampler=groups,
        num_workers=workers if count > FEW else 0,
        collate_fn=_as_it_is,
        worker_init_fn=first_thing(),
        generator=torch.Generator(),  # of the workers' seeds, which nothing uses; else the caller's numbers are drawn
    )
    for looked in alive(loader):
        if isinstance(looked, BadInput):
            raise looked
        for row, found in looked:
            if isinstance(found, str):
                facts.reasons[row] = found
                continue
            facts.sizes[row], facts.contents[row], facts.pixels[row] = found.size, found.content, found.pixels
            facts.mode[row] = numbers.setdefault(found.mode, len(numbers))
        done += len(looked)
        if time.monotonic() > spoken + PROGRESS_SECONDS:
            spoken = time.monotonic()
            say(f"{done} of {count} {what} images looked at")
    facts.modes.extend(numbers)
    return facts


def of_arrays(images: ImageSet) -> Facts:
    """The same of images in memory, whose files are not known."""
    facts = Facts.empty(len(images))
    for row, pixels in enumerate(images.images.numpy()):
        facts.pixels[row] = np.void(blake2b(pixels.tobytes(), digest_size=DIGEST).digest())
    facts.sizes[:] = images.images.shape[1:3]
    facts.modes.append("RGB")
    return facts


@dataclass(frozen=True)
class _Image:
    size: tuple[int, int]
    mode: str
    content: np.void
    pixels: np.void


class _Looked(Dataset[Any]):
    """Groups of rows, each with what its image is like, or why it cannot be read."""

    def __init__(self, images: Encoded) -> None:
        self.reader = Reader(images)

    def __getitem__(self, rows: Sequence[int]) -> list[tuple[int, _Image | str]] | BadInput:
        try:
            return [(row, self._look(row)) for row in rows]
        except BadInput as error:  # torch would send it on with the worker's traceback in its message
            return error

    def _look(self, row: int) -> _Image | str:
        try:
            content, pixels = self.reader.both(row)
        except BadImage as error:
            return str(error)
        shape = np.array(pixels.shape, np.int64).tobytes()
        digests = (blake2b(content, digest_size=DIGEST), blake2b(shape + pixels.tobytes(), digest_size=DIGEST))
        height, width = pixels.shape[:2]
        return _Image((height, width), _mode(content), *(np.void(digest.digest()) for digest in digests))


def _mode(content: bytes) -> str:
    """Pillow's name for the kind of its pixels, of an image that can be decoded."""
    try:
        with opened(content) as picture:
            return f"{picture.mode} ({picture.format})"
    except ValueError:  # a text of it is too long, which changes no pixel
        return "RGB (PNG)"


def _as_it_is(item: Any) -> Any:
    return item
