"""How many bits the 16-bit images of a data set use: cameras and scanners mostly have 10, 12 or 14.

One number for all images of a set, lest a dark one be made bright.
"""

import time

import numpy as np

from potstill.data.cache import remembered
from potstill.data.files.decoding import has_16_bits
from potstill.data.files.encoded import Encoded
from potstill.data.pictures import PNG, opened
from potstill.say import say

DEPTHS = (8, 10, 12, 14, 16)
FULL = 16
PROGRESS_SECONDS = 10.0
DEEP_FORMATS = (b"II*\0", b"MM\0*", b"II+\0", b"P2", b"P5", b"\n")
"""How files begin, besides PNG, that may have 16 bits: TIFF and PGM."""
BIT_DEPTH, COLOUR = 24, 25
"""Where a PNG says how deep it is, and whether it has colours."""


def find_depth(images: Encoded, notes: list[str]) -> int:
    """How many bits the grey 16-bit images use: the fewest of `DEPTHS` that hold the brightest pixel of all.

    16 where there are no such images. All of them are decoded once; the number is kept in the user's cache folder. What
    was taken is added to ``notes``.
    """
    rows = [row for row in range(len(images)) if _may_be_deep(images.head(row))]
    if not rows:
        return FULL
    bits, count = map(int, remembered("depths", images.stamp(), lambda: _decode_all(images, rows)).split(","))
    if count:
        most = 2**bits - 1
        notes.append(f"{count} images have 16 bits a pixel, and use {bits}: 0..{most} is taken as black to white")
    return bits


def _may_be_deep(head: bytes) -> bool:
    if head.startswith(PNG):
        return len(head) > COLOUR and head[BIT_DEPTH] == FULL and head[COLOUR] == 0
    return head.startswith(DEEP_FORMATS)


def _decode_all(images: Encoded, rows: list[int]) -> str:
    """Bits and number of the 16-bit images."""
    brightest, count, spoken = 0, 0, time.monotonic()
    for done, row in enumerate(rows, 1):
        value = _brightest(images, row, needed=brightest < 2 ** DEPTHS[-2])
        if value is not None:
            brightest, count = max(brightest, value), count + 1
        if time.monotonic() > spoken + PROGRESS_SECONDS:
            spoken = time.monotonic()
            say(f"looking once which of their 16 bits the images use: {done} of {len(rows)}")
    bits = next(depth for depth in DEPTHS if brightest < 2**depth)
    return f"{bits},{count}"


def _brightest(images: Encoded, row: int, needed: bool) -> int | None:
    """The largest value of a grey 16-bit image (0 if that is not needed); None if it is another, or no image."""
    try:
        with opened(images.read(row)) as picture:
            if not has_16_bits(picture):
                return None
            return int(np.array(picture).max()) if needed else 0
    except Exception:  # what is wrong with it, whoever reads the image will say
        return None
