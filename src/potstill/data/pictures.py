"""Opening an encoded image: the one place that calls Pillow, with a fixed list of formats and limits of our own."""

import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image, ImageFile

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "PPM", "TIFF")
"""The formats that are read, whatever a file's name says. Others (EPS, PSD, ...) are large programs of their own."""
MOST_PIXELS = 2**28
"""Pixels of the largest image that is decoded, 268 million: a gigabyte as RGB."""
TOO_LARGE = f"more than the {MOST_PIXELS / 1e6:.0f} megapixels that are decoded: scale it down"
OTHERS = {
    b"%!PS": "PostScript",
    b"\xc5\xd0\xd3\xc6": "PostScript",
    b"%PDF": "PDF",
    b"8BPS": "Photoshop",
    b"\x00\x00\x01\x00": "an icon",
    b"\x00\x00\x00\x0cjP  ": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"\xff\x0a": "JPEG XL",
    b"\x00\x00\x00\x0cJXL ": "JPEG XL",
    b"\x89HDF": "HDF5",
    b"\x93NUMPY": "a numpy array",
    b"PK\x03\x04": "a zip archive",
    b"\x1f\x8b": "compressed by gzip",
    b"version https://git-lfs": "a pointer to a file that Git LFS has not fetched (git lfs pull)",
    b"<!DOCTYPE": "a web page",
    b"<!doctype": "a web page",
    b"<html": "a web page",
    b"<svg": "SVG",
    b"<?xml": "XML",
}
"""How other files begin, and what they are."""
BRANDS = {b"avif": "AVIF", b"heic": "HEIC", b"heix": "HEIC", b"mif1": "HEIC"}
PNG = b"\x89PNG\r\n\x1a\n"
TEXTS = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")


@contextmanager
def opened(content: bytes) -> Iterator[ImageFile.ImageFile]:
    """An image of one of `FORMATS`, not decoded yet.

    Raises:
        ValueError: it has none of these formats, or more than `MOST_PIXELS`.
        Exception: whatever Pillow stumbles over in a damaged file.
    """
    if (found := other_format(content)) is not None:
        raise ValueError(f"it is {found}, not one of {', '.join(FORMATS)}")
    with _our_limit():
        try:
            picture = Image.open(io.BytesIO(content), formats=FORMATS)
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise ValueError(f"it has {TOO_LARGE}") from error
        with picture:
            width, height = picture.size
            if width * height > MOST_PIXELS:
                raise ValueError(f"it has {width * height / 1e6:.0f} megapixels, {TOO_LARGE}")
            yield picture


def other_format(content: bytes) -> str | None:
    """What a file is by its first bytes, if that is a known format and none of `FORMATS`."""
    if not content:
        return "empty"
    if content[4:8] == b"ftyp":
        return BRANDS.get(content[8:12], "a video")
    start = content[:32].lstrip()
    return next((name for magic, name in OTHERS.items() if content.startswith(magic) or start.startswith(magic)), None)


def without_texts(content: bytes) -> bytes:
    """A PNG without its texts and colour profile, which change no pixel; any other file as it is.

    Pillow refuses long ones, lest they fill the memory.
    """
    if not content.startswith(PNG):
        return content
    kept, at = [PNG], len(PNG)
    while at + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, at)
        if kind not in TEXTS:
            kept.append(content[at : at + 12 + length])
        at += 12 + length
    return b"".join(kept)


@contextmanager
def _our_limit() -> Iterator[None]:
    """Pillow's own limit, which warns of 90 million pixels and refuses 179, is the caller's otherwise."""
    before = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = MOST_PIXELS
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = before
