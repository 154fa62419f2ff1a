"""Image sets as they lie on the Hugging Face Hub, of any images: Parquet shards with encoded images and labels."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.ipc
import pyarrow.parquet
import torch

from potstill.data.cache import cache_folder, key, make_once
from potstill.data.files.folder import TEST, TRAIN
from potstill.data.parquet import find_shards
from potstill.errors import BadInput, first_line
from potstill.say import say

LABELS = ("label", "labels", "fine_label", "target", "class")
"""Names of the label's column, the likeliest first."""


class Hub:
    """One split out of Parquet shards, each row an encoded image and its label.

    Parquet can only be read a large group of rows at a time. So the rows are copied once, images as they are, into a
    file of Arrow's that can be read anywhere; it lies in the user's cache folder and takes as much room as the shards.

    Args:
        shards: the files, in order.
        classes: the names of the classes; by default what the files say, or numbers, as many as the labels need.

    Raises:
        BadInput: a damaged file, no column of images or of labels, a label that is no class, other names of the
            classes than ``classes``, no room for the copy.
    """

    def __init__(self, shards: Sequence[Path], classes: Sequence[str] | None = None) -> None:
        self.shards = list(shards)
        self.image, self.label, names = columns(self.shards[0])
        numbered = classes is None or list(classes) == list(map(str, range(len(classes))))
        if names and not numbered and tuple(classes or ()) != names:
            raise BadInput(f"{self.shards[0]} names other classes than the training images, or in another order")
        self.file = cache_folder() / "encoded" / f"{key(self.shards, f'{self.image} {self.label}')}.arrow"
        self.rows = [pyarrow.parquet.read_metadata(shard).num_rows for shard in self.shards]
        self._copy()
        self._table: pyarrow.Table | None = None
        labels = self.table["label"].to_numpy()
        self.labels = torch.from_numpy(labels.copy())
        if not len(labels):
            raise BadInput(f"{self.shards[0]} holds no image")
        needed = int(labels.max()) + 1
        self.classes = tuple(classes or names or map(str, range(needed)))
        if wrong := [row for row in (labels.argmin(), labels.argmax()) if not 0 <= labels[row] < len(self.classes)]:
            must = f"must be 0..{len(self.classes) - 1}" if self.classes else "must not be negative"
            hint = "; files of images without labels have to lie elsewhere" if labels[wrong[0]] < 0 else ""
            raise BadInput(f"{self.name(int(wrong[0]))}: {self.label} is {labels[wrong[0]]}, but {must}{hint}")

    @property
    def table(self) -> pyarrow.Table:
        """The rows, mapped into memory: each process does that for itself."""
        if self._table is None:
            try:
                with pyarrow.memory_map(str(self.file)) as content:
                    self._table = pyarrow.ipc.open_file(content).read_all()
            except (pyarrow.ArrowException, OSError) as error:
                why = first_line(error)
                raise BadInput(f"{self.file} is damaged ({why}); delete it, and it is made again") from error
        return self._table

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_table": None}

    def __len__(self) -> int:
        return len(self.labels)

    def read(self, row: int) -> bytes:
        """The image file's content."""
        content = self.table["image"][row].as_py()
        if content is None:
            raise ValueError("there is no image")
        return bytes(content)

    def name(self, row: int) -> str:
        """The shard and the row in it."""
        for shard, rows in zip(self.shards, self.rows, strict=True):
            if row < rows:
                return f"{shard}, row {row}"
            row -= rows
        raise IndexError(row)

    def stamp(self) -> str:
        """The copy's name, which changes with the shards' paths, sizes and modification times."""
        return self.file.stem

    def _copy(self) -> None:
        schema = pyarrow.schema({"image": pyarrow.large_binary(), "label": pyarrow.int64()})

        def copy(draft: Path) -> None:
            say(f"copying the images of {self.shards[0].parent} to {self.file}, once")
            with pyarrow.OSFile(str(draft), "wb") as sink, pyarrow.ipc.new_file(sink, schema) as writer:
                for rows in self._rows(schema):
                    writer.write(rows)

        make_once(self.file, copy)

    def _rows(self, schema: pyarrow.Schema) -> Iterator[pyarrow.RecordBatch]:
        for shard in self.shards:
            image, label, _ = columns(shard)
            try:
                with pyarrow.parquet.ParquetFile(shard) as file:
                    for rows in file.iter_batches(batch_size=256, columns=[image, label]):
                        images, labels = rows.column(image), rows.column(label)
                        if labels.null_count:
                            raise BadInput(f"{shard}: {labels.null_count} rows have no {label}")
                        content = images.field("bytes") if pyarrow.types.is_struct(images.type) else images
                        cast = [content.cast(pyarrow.large_binary()), labels.cast(pyarrow.int64())]
                        yield pyarrow.RecordBatch.from_arrays(cast, schema=schema)
            except (pyarrow.ArrowException, OSError) as error:
                raise BadInput(f"{shard} is not a readable Parquet file of images: {first_line(error)}") from error


def columns(shard: Path) -> tuple[str, str, tuple[str, ...]]:
    """The columns of images and of labels, and the classes' names if the file says them.

    Raises:
        BadInput: no such columns, or several; the message names what there is.
    """
    try:
        schema = pyarrow.parquet.read_schema(shard)
    except (pyarrow.ArrowException, OSError) as error:
        raise BadInput(f"{shard} is not a readable Parquet file: {first_line(error)}") from error
    images = [field.name for field in schema if _holds_images(field.type)]
    integers = [field.name for field in schema if pyarrow.types.is_integer(field.type)]
    labels = [name for name in LABELS if name in integers] or integers
    if len(images) != 1 or not labels or (len(labels) > 1 and labels[0] not in LABELS):
        raise BadInput(f"{shard} needs one column of images and one of labels (an integer); it has {schema.names}")
    features = json.loads((schema.metadata or {}).get(b"huggingface", b"{}")).get("info", {}).get("features", {})
    return images[0], labels[0], tuple(features.get(labels[0], {}).get("names", ()))


def split_shards(root: Path) -> tuple[list[Path], list[Path] | None] | None:
    """The shards of the training and the test images in ``root`` or ``root/data``; None for the second if all is one.

    None alone if there are no Parquet files at all.
    """
    folder = next((place for place in (root, root / "data") if any(place.glob("*.parquet"))), None)
    if folder is None:
        return None
    names = sorted({file.stem.partition("-")[0] for file in folder.glob("*.parquet")})
    train, test = (next((name for name in wanted if name in names), None) for wanted in (TRAIN, TEST))
    if train is None and len(names) > 1:
        raise BadInput(f"{folder} has {', '.join(names)} but no train-*.parquet")
    return _shards(folder, train or names[0]), _shards(folder, test) if train and test else None


def _shards(folder: Path, split: str) -> list[Path]:
    alone = folder / f"{split}.parquet"
    return [alone] if alone.is_file() else find_shards(folder, split)


def _holds_images(kind: pyarrow.DataType) -> bool:
    if pyarrow.types.is_struct(kind):
        return any(field.name == "bytes" for field in kind)
    return bool(pyarrow.types.is_binary(kind) or pyarrow.types.is_large_binary(kind))
