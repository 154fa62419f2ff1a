"""Image sets as they lie on the Hugging Face Hub, of any images: Parquet shards with encoded images and labels."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.ipc
import torch
from numpy.typing import NDArray

from potstill.data.cache import cache_folder, key, make_once
from potstill.data.files.arrow_path import arrow_path
from potstill.data.files.columns import are_numbers, find_columns, numbers_as_classes
from potstill.data.files.labels import labels_in
from potstill.data.files.listed import HEAD
from potstill.data.files.lists import choose_test, class_order
from potstill.data.files.names import TRAIN, must_look_different, split_named
from potstill.data.files.shard_file import batches_of, rows_of
from potstill.data.files.taken import Taken
from potstill.data.images import NO_LABEL
from potstill.data.label_names import several_hot
from potstill.errors import BadInput, first_line
from potstill.say import say
from potstill.selection import Place


class NoLabels(BadInput):
    """Not one image of a split has a label."""


class Hub:
    """One split out of Parquet shards, each row an encoded image and its label.

    Parquet can only be read a large group of rows at a time. So the rows are copied once, images as they are, into a
    file of Arrow's that can be read anywhere; it lies in the user's cache folder and takes as much room as the shards.

    Args:
        shards: the files, in order.
        classes: the names of the classes; by default what the files say, or the labels that occur.
        how: which columns.
        first: the number of the first of ``classes``; by default what the labels say.

    Raises:
        BadInput: a damaged file, no column of images or of labels, a label that is no class, labels with a gap and
            without names, other names of the classes than ``classes``, no room for the copy.
    """

    def __init__(
        self,
        shards: Sequence[Path],
        classes: Sequence[str] | None = None,
        how: Place = Place(),
        first: int | None = None,
    ) -> None:
        self.shards, self.bits, self.first = list(shards), 16, first or 0
        self.columns = find_columns(self.shards[0], how)
        self.notes = list(self.columns.notes)
        names = self.columns.names
        numbered = classes is None or are_numbers(classes)
        if names and not numbered and tuple(classes or ()) != names:
            raise BadInput(f"{self.shards[0]} names other classes than the training images, or in another order")
        what = f"{self.columns.image} {self.columns.label or 'unlabelled'}" + (" as text" if self.columns.text else "")
        if self.columns.several:
            what += f" several {how.label_separator or ''}"
        self.file = cache_folder() / "encoded" / f"{key(self.shards, what)}.arrow"
        self.rows = [rows_of(shard) for shard in self.shards]
        self._how = how
        self._copy()
        self._table: pyarrow.Table | None = None
        if not len(self.table):
            raise BadInput(f"{self.shards[0]} holds no image")
        self.classes, self.labels = self._classes(tuple(classes or names))

    def _classes(self, known: tuple[str, ...]) -> tuple[tuple[str, ...], torch.Tensor]:
        """The classes, and which one each row is of."""
        column, found = self.columns.label, self.table["label"]
        if column is None:
            return (), torch.full((len(found),), NO_LABEL)
        if self.columns.several:
            return self._several(found.to_pylist(), known)
        if self.columns.text:
            texts = found.to_pylist()
            classes = known or class_order(texts)
            must_look_different(classes, str(self.shards[0]))
            numbers = {name: number for number, name in enumerate(classes)}
            if (row := next((row for row, text in enumerate(texts) if text not in numbers), None)) is not None:
                raise BadInput(f"{self.name(row)}: {column} is {texts[row]!r}, which no training image has")
            return classes, torch.tensor([numbers[text] for text in texts], dtype=torch.int64)
        labels = found.to_numpy()
        if (labels == -1).all():  # as the Hub has test images whose labels are secret
            what = "files of images without labels have to lie elsewhere"
            raise NoLabels(f"{self.name(0)}: {column} is -1, but must not be negative; {what}")
        if not known:
            known, note = numbers_as_classes(labels, lambda row: f"{self.name(row)}: {column}")
            self.notes, self.first = [*self.notes, *note], int(known[0])
        first = self.first
        wrong = [row for row in (labels.argmin(), labels.argmax()) if not 0 <= labels[row] - first < len(known)]
        if wrong:
            value, last = labels[wrong[0]], first + len(known) - 1
            hint = "; files of images without labels have to lie elsewhere" if value < 0 else ""
            raise BadInput(f"{self.name(int(wrong[0]))}: {column} is {value}, but must be {first}..{last}{hint}")
        return known, torch.from_numpy(labels - first)

    def _several(self, found: list[list[str]], known: tuple[str, ...]) -> tuple[tuple[str, ...], torch.Tensor]:
        """The classes, and which of them each row is of: lists of names, or of numbers where the file names classes."""
        numbered = not self.columns.text and self.columns.names
        classes = known or class_order(name for names in found for name in names)
        if len(classes) < 2:
            raise BadInput(f"{self.shards[0]}: {self.columns.label} names {len(classes)} classes; two are the fewest")
        must_look_different(classes, str(self.shards[0]))
        numbers = {str(number) if numbered else name: number for number, name in enumerate(classes)}
        for row, names in enumerate(found):
            if stray := [name for name in names if name not in numbers]:
                raise BadInput(f"{self.name(row)}: {self.columns.label} has {stray[0]!r}, which no training image has")
        return classes, several_hot([[numbers[name] for name in names] for names in found], len(classes))

    @property
    def table(self) -> pyarrow.Table:
        """The rows, mapped into memory: each process does that for itself."""
        if self._table is None:
            try:
                with pyarrow.memory_map(arrow_path(self.file)) as content:
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

    def head(self, row: int) -> bytes:
        """The image file's first bytes."""
        column = self.table["image"]
        scalar = column[row]
        return b"" if not scalar.is_valid else scalar.as_buffer()[:HEAD].to_pybytes()

    def key(self, row: int) -> bytes:
        """The row."""
        return str(row).encode()

    def sizes(self) -> NDArray[np.int64]:
        """Bytes of every image file."""
        from pyarrow import compute  # takes long, and most data sets do without

        sized: NDArray[np.int64] = compute.fill_null(compute.binary_length(self.table["image"]), 0).to_numpy()
        return sized

    def stamp(self, changes: bool = False) -> str:
        """The copy's name, which changes with the shards' paths, sizes and modification times."""
        times = [str(shard.stat().st_ctime_ns) for shard in self.shards] if changes else []
        return " ".join([self.file.stem, *times])

    def _copy(self) -> None:
        kind = pyarrow.large_string() if self.columns.text else pyarrow.int64()
        kind = pyarrow.large_list(pyarrow.large_string()) if self.columns.several else kind
        schema = pyarrow.schema({"image": pyarrow.large_binary(), "label": kind})

        def copy(draft: Path) -> None:
            say(f"copying the images of {self.shards[0].parent} to {self.file}, once")
            with pyarrow.OSFile(arrow_path(draft), "wb") as sink, pyarrow.ipc.new_file(sink, schema) as writer:
                for rows in self._rows(schema):
                    writer.write(rows)

        make_once(self.file, copy)

    def _rows(self, schema: pyarrow.Schema) -> Iterator[pyarrow.RecordBatch]:
        for shard in self.shards:
            columns = find_columns(shard, self._how)
            for rows in batches_of(shard, [column for column in (columns.image, columns.label) if column is not None]):
                images = rows.column(columns.image)
                labels = _no_labels(rows) if columns.label is None else rows.column(columns.label)
                if columns.several:
                    labels = _lists(labels, self._how.label_separator)
                elif labels.null_count:
                    raise BadInput(f"{shard}: {labels.null_count} rows have no {columns.label}")
                content = images.field("bytes") if pyarrow.types.is_struct(images.type) else images
                try:
                    cast = [content.cast(pyarrow.large_binary()), labels.cast(schema.field("label").type)]
                    yield pyarrow.RecordBatch.from_arrays(cast, schema=schema)
                except pyarrow.ArrowException as error:
                    raise BadInput(f"{shard} is not a readable file of images: {first_line(error)}") from error


def read_hub(root: Path, shards: Mapping[str, Sequence[Path]], how: Place) -> Taken:
    """Training and test images out of a folder's Parquet or Arrow files.

    Raises:
        BadInput: several splits and none to train on; whatever is wrong with one that is used.
    """
    found = split_named(dict(shards), TRAIN)
    if found is None and len(shards) > 1:
        raise BadInput(f"{root} has {', '.join(shards)} but no train-*.parquet")
    train, files = found or next(iter(shards.items()))
    trained = Hub(files, how=how)
    notes = [f"{root}: {note}" for note in trained.notes]
    others = {split: paths for split, paths in shards.items() if split != train}
    name = choose_test(others, how, train, str(root))
    measured: Hub | None = None
    if name is not None:
        try:
            measured = Hub(others[name], trained.classes, how, trained.first)
        except NoLabels:
            if how.test_split is not None:
                raise
            notes.append(f"{root}: {name} ({_count(others[name])} images) has no labels and is left out")
    for other, paths in others.items():
        if other != name:
            notes.append(f"{root}: {other} ({_count(paths)} images) is not looked at; --test-split chooses")
    return Taken(trained.classes, trained, measured, notes, (train, None if measured is None else name))


def _no_labels(rows: pyarrow.RecordBatch) -> pyarrow.Array:
    return pyarrow.array([NO_LABEL] * rows.num_rows, pyarrow.int64())


def _lists(labels: pyarrow.Array, separator: str | None) -> pyarrow.Array:
    """Labels as lists of text; of an image of no class, an empty one."""
    parts = (labels_in(cell, separator) for cell in labels.to_pylist())
    return pyarrow.array(map(list, parts), pyarrow.large_list(pyarrow.large_string()))


def _count(shards: Sequence[Path]) -> int:
    return sum(map(rows_of, shards))
