"""How many bits the 16-bit images of a data set use: cameras and scanners mostly have 10, 12 or 14.

One number for all images of a set, lest a dark one be made bright.
"""

import time
from typing import Any

import numpy as np

from potstill.data.cache import remembered
from potstill.data.files.decoding import FULL, deep_values
from potstill.data.files.encoded import Encoded
from potstill.data.pictures import PNG, opened
from potstill.errors import BadInput
from potstill.say import say

DEPTHS = (8, 10, 12, 14, FULL)
PROGRESS_SECONDS = 10.0
DEEP_FORMATS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"P2", b"P5")
"""How files begin, besides PNG, that may have 16 bits: TIFF and PGM."""
PNG_DEPTH = 24
"""The byte of a PNG that says how many bits a value has."""
BITS_PER_SAMPLE = 258
"""The tag of a TIFF that says how many bits a value has."""


def find_depth(images: Encoded, notes: list[str]) -> int:
    """How many bits the 16-bit images use: the fewest of `DEPTHS` that hold the brightest pixel of all.

    16 where there are no such images. All of them are decoded once; the number is kept in the user's cache folder. What
    was taken is added to ``notes``.

    Raises:
        BadInput: files of which only the upper 8 bits can be read use fewer: TIFF with colours, grey PNG with alpha.
    """
    rows = [row for row in range(len(images)) if _may_be_deep(images.head(row))]
    if not rows:
        return FULL
    bits = int(remembered("depths", images.stamp(), lambda: _decode_all(images, rows)))
    if bits:
        notes.append(f"its 16-bit images use {bits} bits: 0..{2**bits - 1} is taken as black to white")
    return bits or FULL


def _may_be_deep(head: bytes) -> bool:
    if head.startswith(PNG):
        return len(head) > PNG_DEPTH and head[PNG_DEPTH] == FULL
    return head.startswith(DEEP_FORMATS)


def _decode_all(images: Encoded, rows: list[int]) -> str:
    """How many bits the 16-bit images use; 0 if there are none."""
    found: list[int] = []
    cut, spoken = None, time.monotonic()
    for done, row in enumerate(rows, 1):
        value, is_cut = _brightest(images, row)
        found += [] if value is None else [value]
        cut = row if is_cut and cut is None else cut
        if found and found[-1] >= 2 ** DEPTHS[-2]:
            break
        if time.monotonic() > spoken + PROGRESS_SECONDS:
            spoken = time.monotonic()
            say(f"looking once which of their 16 bits the images use: {done} of {len(rows)}")
    bits = next(depth for depth in DEPTHS if max(found) < 2**depth) if found else 0
    if cut is not None and bits < FULL:
        what = f"of 16 bits a value, of which {bits} are used, but only the upper 8 can be read of its kind"
        raise BadInput(f"{images.name(cut)} is {what}; save such images as PNG without alpha")
    return str(bits)


def _brightest(images: Encoded, row: int) -> tuple[int | None, bool]:
    """The largest value of a 16-bit image, None of another, and whether its lower 8 bits cannot be read."""
    try:
        content = images.read(row)
        with opened(content) as picture:
            values = deep_values(content, picture)
            if values is not None:
                return int(values.max()), False
            if _is_cut(content, picture):
                return int(np.array(picture)[..., :3].max()) << 8, True
            return None, False
    except Exception:  # what is wrong with it, whoever reads the image will say
        return None, False


def _is_cut(content: bytes, picture: Any) -> bool:
    """Whether an image has 16 bits, of which Pillow only gives the upper 8."""
    if picture.format == "TIFF":
        return picture.mode in ("RGB", "RGBA") and FULL in tuple(picture.tag_v2.get(BITS_PER_SAMPLE, ()))
    return bool(picture.format == "PNG" and content[PNG_DEPTH] == FULL)
