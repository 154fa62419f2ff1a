"""Decoded images in a memory-mapped file, so that an epoch costs no decoding."""

import shutil
import sys
import time
import zlib
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from torch.utils.data import DataLoader, Dataset

from potstill.data.cache import cache_folder, make_once
from potstill.data.files.decoding import FULL, BadImage, Crops, Pixels
from potstill.data.files.encoded import Encoded
from potstill.data.files.reading import Reader
from potstill.errors import BadInput
from potstill.whole_file import drafted, remove_drafts

Sizes = NDArray[np.int64]  # (N, 2): height and width; 0 for an image that cannot be decoded
Sums = NDArray[np.uint32]  # (N,)

LAYOUT = 2  # part of every file's name: raise it when what is kept, or how, changes
PROGRESS_SECONDS = 10.0  # between two lines about it
SIZE_SAMPLE = 200  # images from which the size of all is estimated


class PixelCache:
    """The images of one split, decoded and shrunk to the size that evaluation wants, as uint8 in one file.

    Made once, by worker processes, in the user's cache folder; again if an image file changes. Next to it lies an
    index with the size, place and CRC-32 of every image. An image is checked against that when a process first reads
    it, so a damaged file is noticed before it is trained on. An image that could not be read when the file was made is
    remembered as that, with the reason.

    Args:
        images: the encoded images.
        crops: whose ``shrunk`` says what is kept.
        workers: processes that decode.

    Raises:
        BadInput: the disk has no room, or the index is damaged.
    """

    def __init__(self, images: Encoded, crops: Crops, workers: int) -> None:
        self.images = images
        deep = "" if images.bits == FULL else f" {images.bits} bits"
        stamp = sha256(f"{LAYOUT} {crops.shorter_side} {images.stamp()}{deep}".encode()).hexdigest()[:32]
        self.file = cache_folder() / "pixels" / f"{stamp}.uint8"
        self.index = self.file.with_suffix(".safetensors")
        if not self.file.is_file():
            self.index.unlink(missing_ok=True)
        # The index is written last: with it, the file is whole.
        make_once(self.index, lambda draft: self._make(draft, crops, workers))
        self._read_index()
        self._bytes: np.memmap[tuple[int], np.dtype[np.uint8]] | None = None

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_bytes": None}  # each process maps the file for itself

    def pixels(self, row: int) -> Pixels:
        """An image's pixels (H, W, 3), in the file's own memory.

        Raises:
            BadImage: it could not be decoded when the file was made.
            BadInput: the file is damaged.
        """
        height, width = self.sizes[row]
        if height == 0:
            raise BadImage(f"{self.reasons[row]} (when it was cached; to try again, delete {self.index})")
        if self._bytes is None:
            self._bytes = np.memmap(self.file, dtype=np.uint8, mode="c")  # torch wants memory that may be written
        pixels: Pixels = self._bytes[self.starts[row] : self.starts[row] + height * width * 3]
        if not self.checked[row]:
            if zlib.crc32(pixels.data) != self.sums[row]:
                raise BadInput(f"{self.file} is damaged at {self.images.name(row)}; delete it, and it is made again")
            self.checked[row] = True
        return pixels.reshape(height, width, 3)

    def _make(self, draft: Path, crops: Crops, workers: int) -> None:
        print(f"potstill: decoding {len(self.images)} images to {self.file}, once", file=sys.stderr)
        remove_drafts(self.file.parent, self.file.name)  # make_once holds the lock
        with drafted(self.file) as pixels:  # another process may still read an older file
            sizes, sums, reasons = self._write(pixels, crops, workers)
        save_file({"sizes": sizes, "sums": sums}, draft, {"crc32": _checksum(sizes, sums), **reasons})

    def _write(self, pixels: Path, crops: Crops, workers: int) -> tuple[Sizes, Sums, dict[str, str]]:
        count = len(self.images)
        sizes, sums = np.zeros((count, 2), np.int64), np.zeros(count, np.uint32)
        reasons: dict[str, str] = {}
        spoken = time.monotonic()
        with pixels.open("wb") as file:
            for row, result in enumerate(_decoded(self.images, crops, workers)):
                if isinstance(result, str):
                    reasons[str(row)] = result
                else:
                    sizes[row], sums[row] = result.shape[:2], zlib.crc32(result.data)
                    file.write(result.data)
                if row + 1 == min(SIZE_SAMPLE, count):
                    self._must_fit(file.tell() * count // (row + 1))
                if time.monotonic() > spoken + PROGRESS_SECONDS:
                    spoken = time.monotonic()
                    print(f"potstill: {row + 1} of {count} images decoded", file=sys.stderr)
        return sizes, sums, reasons

    def _must_fit(self, size: int) -> None:
        free = shutil.disk_usage(self.file.parent).free
        print(f"potstill: that will be about {size / 1e9:.2f} GB", file=sys.stderr)
        if size > free:
            raise BadInput(
                f"--cache needs about {size / 1e9:.0f} GB in {self.file.parent}, which has {free / 1e9:.0f} GB; "
                "$XDG_CACHE_HOME names another folder"
            )

    def _read_index(self) -> None:
        try:
            with safe_open(self.index, framework="np") as file:
                self.sizes, self.sums = file.get_tensor("sizes"), file.get_tensor("sums")
                metadata = dict(file.metadata())
            whole = metadata.pop("crc32") == _checksum(self.sizes, self.sums)
        except (OSError, SafetensorError, KeyError) as error:
            raise BadInput(f"{self.index} is damaged ({error}); delete it, and it is made again") from error
        lengths = 3 * self.sizes.prod(axis=1)
        if not whole or self.file.stat().st_size != lengths.sum():
            raise BadInput(f"{self.file} and {self.index.name} do not belong together; delete them")
        self.starts = np.concatenate([[0], lengths.cumsum()])
        self.checked = np.zeros(len(self.sums), bool)
        self.reasons = {int(row): reason for row, reason in metadata.items()}


class _Shrunk(Dataset[Pixels | str]):
    """Every image as the cache keeps it, or why there is none."""

    def __init__(self, images: Encoded, crops: Crops) -> None:
        self.reader, self.crops = Reader(images), crops

    def __len__(self) -> int:
        return len(self.reader.images)

    def __getitem__(self, row: int) -> Pixels | str:
        try:
            return self.crops.shrunk(self.reader.pixels(row))
        except BadImage as error:
            return str(error)


def _decoded(images: Encoded, crops: Crops, workers: int) -> Iterator[Pixels | str]:
    seeds = torch.Generator()  # of the workers, which use none; else they are taken from the caller's random numbers
    yield from DataLoader(
        _Shrunk(images, crops), batch_size=None, num_workers=workers, collate_fn=_as_it_is, generator=seeds
    )


def _as_it_is(item: Any) -> Any:
    return item


def _checksum(sizes: Sizes, sums: Sums) -> str:
    return f"{zlib.crc32(sums.tobytes(), zlib.crc32(sizes.tobytes())):08x}"
