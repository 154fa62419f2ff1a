"""What tells a data set from others of the same name, wherever it lies."""

import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, Literal

import numpy as np

from potstill.data.cache import remembered
from potstill.data.files.encoded import Encoded
from potstill.data.label_names import label_name
from potstill.say import say

if TYPE_CHECKING:
    from potstill.data.images import ImageSet

Wanted = Literal["auto", "contents"]
WHOLE = 2**31
"""Bytes of images that are all read, 2 GiB; of larger sets a sample is."""
SAMPLE = 1000
"""Images of that sample."""
AT_ONCE = 16
"""Bytes of a digest."""
PROGRESS_SECONDS = 10.0


def of_arrays(splits: "Mapping[str, ImageSet]") -> Callable[[], str]:
    """The identity of images that lie in memory: checksums of all their pixels and labels."""
    sums = " ".join(f"{split} {images.checksum}" for split, images in splits.items())
    found = f"{sha256(sums.encode()).hexdigest()[: 2 * AT_ONCE]} of arrays"
    return lambda: found


def of_files(splits: Mapping[str, Encoded], classes: Sequence[str], wanted: Wanted) -> Callable[[], str]:
    """The identity of image files: a digest of their names, sizes, classes and contents. Found when it is asked for.

    Times and places are not in it: a copy of the folder is the same data. The contents of all files are, up to 2 GiB or
    if ``wanted`` is "contents"; of larger sets those of 1,000 images, chosen by their names. The digest is kept in the
    user's cache folder as long as no file's path, size or times change.
    """

    @cache
    def find() -> str:
        sizes = {split: images.sizes() for split, images in splits.items()}
        whole = wanted == "contents" or sum(int(sized.sum()) for sized in sizes.values()) <= WHOLE
        stamps = [f"{split} {images.stamp(changes=True)} {_labels(images)}" for split, images in splits.items()]
        stamp = sha256("\n".join([str(whole), *classes, *stamps]).encode("utf-8", "surrogateescape")).hexdigest()[:32]
        return remembered("identities", stamp, lambda: _digest(splits, classes, sizes, whole))

    return find


def _digest(
    splits: Mapping[str, Encoded], classes: Sequence[str], sizes: "Mapping[str, np.ndarray]", whole: bool
) -> str:
    digest, spoken = sha256(), time.monotonic()
    for split, images in splits.items():
        keys = [images.key(row) for row in range(len(images))]
        order = sorted(range(len(keys)), key=lambda row: (zlib.crc32(keys[row]), keys[row], row))
        read = set(order if whole else order[: SAMPLE // len(splits)])
        digest.update(f"{split} {len(keys)}\n".encode())
        for row, (key, size, label) in enumerate(zip(keys, sizes[split].tolist(), images.labels.tolist(), strict=True)):
            content = _content(images, row) if row in read else b""
            name = label_name(label, classes).encode("utf-8", "surrogateescape")
            digest.update(b"\0".join([key, name, str(size).encode(), content, b"\n"]))
            if time.monotonic() > spoken + PROGRESS_SECONDS:
                spoken = time.monotonic()
                say(f"reading the images once, to know them again: {row + 1} of {len(keys)} ({split})")
    return f"{digest.hexdigest()[: 2 * AT_ONCE]} of {'all contents' if whole else 'a sample'}"


def _labels(images: Encoded) -> str:
    """A digest of all labels: a list may have other ones of the same files."""
    return sha256(images.labels.numpy().tobytes()).hexdigest()


def _content(images: Encoded, row: int) -> bytes:
    """A digest of a file's content; of one that cannot be read, nothing."""
    try:
        return sha256(images.read(row)).digest()
    except (OSError, ValueError):
        return b""
