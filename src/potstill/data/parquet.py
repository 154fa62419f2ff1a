"""Image sets as they lie on the Hugging Face Hub: Parquet shards with encoded images and labels."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import torch
from numpy.typing import NDArray

from potstill.data.cache import decoded
from potstill.data.files.arrow_path import arrow_file
from potstill.data.files.decoding import BadImage, decode
from potstill.data.files.shards import splits_of
from potstill.data.images import ImageSet
from potstill.errors import BadInput, first_line, nearest
from potstill.say import say


def read_split(folder: Path, split: str, *, image: str, label: str, size: tuple[int, int], classes: int) -> ImageSet:
    """The split whose shards are ``folder/split-*.parquet``, every image ``size`` = (height, width) in RGB.

    Raises:
        BadInput: a shard or a column is missing, a file is no Parquet, an image cannot be decoded or has another size,
            or a label is outside ``range(classes)``. The message names the file, and the row.
    """
    shards = splits_of(folder).get(split)
    if shards is None:
        raise BadInput(f"no {split}-*.parquet in {folder}")

    def decode() -> ImageSet:
        say(f"decoding {folder} ({split}), once")
        parts = [_read_shard(shard, image, label, size, classes) for shard in shards]
        images, labels = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        return ImageSet(torch.from_numpy(images), torch.from_numpy(labels))

    return decoded(shards, f"{image} {label} {size} {classes}", decode)


def _read_shard(
    path: Path, image: str, label: str, size: tuple[int, int], classes: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    try:
        with arrow_file(path) as opened, pyarrow.parquet.ParquetFile(opened) as file:
            _require_columns(path, file.schema_arrow.names, [image, label])
            table = file.read(columns=[image, label])
        encoded = [None if row is None else row.get("bytes") for row in table[image].to_pylist()]
        labels = table[label].to_pylist()
    except (pyarrow.ArrowException, OSError, AttributeError) as error:
        raise BadInput(f"{path} is not a readable Parquet file of images: {first_line(error)}") from error
    for row, value in enumerate(labels):
        if not isinstance(value, int) or not 0 <= value < classes:
            raise BadInput(f"{path}, row {row}: {label} is {value}, but must be 0..{classes - 1}")
    images = np.empty((len(encoded), *size, 3), dtype=np.uint8)

    # One thread: images this small are decoded faster than threads hand Python's lock to each other.
    for row, content in enumerate(encoded):
        images[row] = _decoded(path, row, content, size)
    return images, np.array(labels, dtype=np.int64)


def _require_columns(path: Path, present: Sequence[str], needed: Sequence[str]) -> None:
    for name in needed:
        if name not in present:
            near = nearest(name, present) or present
            raise BadInput(f"{path} has no column {name!r}; it has {', '.join(near)}")


def _decoded(path: Path, row: int, encoded: bytes | None, size: tuple[int, int]) -> NDArray[np.uint8]:
    if encoded is None:
        raise BadInput(f"{path}, row {row}: there is no image")
    try:
        pixels = decode(encoded)
    except BadImage as error:
        raise BadInput(f"{path}, row {row}: the image cannot be decoded: {error}") from error
    if pixels.shape[:2] != size:
        found, expected = ("x".join(map(str, shape)) for shape in (pixels.shape[:2], size))
        raise BadInput(f"{path}, row {row}: the image is {found} pixels, not {expected}")
    return pixels
