"""Which columns of a Parquet or Arrow file are the images and the labels, and which classes numbers are."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
from numpy.typing import NDArray

from potstill.data.files.names import listed
from potstill.data.files.shard_file import schema_of
from potstill.errors import BadInput, unknown
from potstill.selection import Place

LABELS = ("label", "labels", "fine_label", "target", "class")
"""Names of the label's column, the likeliest first."""


@dataclass(frozen=True)
class Columns:
    """The columns of images and labels, the classes' names as far as the file says them, and what else there was.

    ``label`` is None where labels do not count; ``text``: they are the classes' names; ``several``: an image may have
    several.
    """

    image: str
    label: str | None
    names: tuple[str, ...]
    text: bool
    notes: tuple[str, ...]
    several: bool = False


def find_columns(shard: Path, how: Place) -> Columns:
    """The columns of a file.

    Raises:
        BadInput: no such columns, or several; the message names what there is.
    """
    schema = schema_of(shard)
    image = _image(shard, schema, how)
    if how.unlabelled:
        return Columns(image, None, (), False, ())
    label, notes = _label(shard, schema, image, how)
    kind = schema.field(label).type
    several = is_list(kind)
    if several or pyarrow.types.is_dictionary(kind):
        kind = kind.value_type
    if how.label_separator is not None:
        if several or not _is_text(kind):
            found = schema.field(label).type
            raise BadInput(f"{shard}: --label-separator parts text, and the column {label} is of {found}")
        several = True
    return Columns(image, label, _names(schema, label), _is_text(kind), tuple(notes), several)


def are_numbers(classes: Sequence[str]) -> bool:
    """Whether classes are whole numbers in a row, as `numbers_as_classes` has them."""
    return any(list(classes) == [str(first + number) for number in range(len(classes))] for first in (0, 1))


def numbers_as_classes(labels: NDArray[np.int64], at: Callable[[int], str]) -> tuple[tuple[str, ...], list[str]]:
    """The classes of labels 0..K-1 or 1..K that nothing names, and notes; ``at`` says where a row lies.

    Raises:
        BadInput: there is another number, or a gap.
    """
    found, rows = np.unique(labels, return_index=True)
    first = int(found[0])
    if first not in (0, 1):
        must = "must not be negative" if first < 0 else "0..K-1 or 1..K is wanted, or the classes' names"
        raise BadInput(f"{at(int(rows[0]))} is {first}, but {must}")
    gaps = np.flatnonzero(np.diff(found) != 1)
    if len(gaps):
        low, high = int(found[gaps[0]]), int(found[gaps[0] + 1])
        missing = f"{low + 1}" if high == low + 2 else f"{low + 1}..{high - 1}"
        raise BadInput(
            f"{at(int(rows[gaps[0] + 1]))} is {high}, but {missing} never occurs: labels without names of the "
            "classes have no gaps"
        )
    classes = tuple(str(number) for number in found.tolist())
    return classes, [] if first == 0 else [f"the labels are 1..{found[-1]}, without 0: {len(found)} classes"]


def _image(shard: Path, schema: Any, how: Place) -> str:
    images: list[str] = [field.name for field in schema if _holds_images(field.type)]
    if how.image_column is not None:
        if how.image_column not in schema.names:
            raise unknown(f"column of {shard} (--image-column)", how.image_column, schema.names)
        if how.image_column not in images:
            raise BadInput(f"{shard}: the column {how.image_column} (--image-column) holds no encoded images")
        return how.image_column
    if not images:
        hint = f"; if it lists image files and their classes, give --labels {shard}" if _lists(schema) else ""
        raise BadInput(f"{shard} needs one column of images (encoded, as bytes), but it has {schema.names}{hint}")
    if len(images) > 1:
        raise BadInput(
            f"{shard} needs one column of images, but it has several: {listed(images)}; --image-column chooses"
        )
    return images[0]


def _label(shard: Path, schema: Any, image: str, how: Place) -> tuple[str, list[str]]:
    kinds = {field.name: field.type for field in schema if field.name != image}
    if how.label_column is not None:
        if how.label_column not in kinds:
            raise unknown(f"column of {shard} (--label-column)", how.label_column, kinds)
        if not _is_label(kinds[how.label_column]):
            kind = kinds[how.label_column]
            raise BadInput(
                f"{shard}: the column {how.label_column} (--label-column) is of {kind}; labels are whole "
                "numbers or text, or lists of these"
            )
        return how.label_column, []
    integers = [name for name, kind in kinds.items() if pyarrow.types.is_integer(kind)]
    texts = [name for name in LABELS if name in kinds and _is_label(kinds[name])]
    lists = [name for name in LABELS if name in kinds and is_list(kinds[name])]
    parted = texts if how.label_separator is not None else []
    candidates = parted or [name for name in LABELS if name in integers] or lists or integers or texts
    if not candidates or (len(candidates) > 1 and candidates[0] not in LABELS):
        hint = (
            "--label-column chooses" if [name for name, kind in kinds.items() if _is_label(kind)] else "there is none"
        )
        raise BadInput(f"{shard} needs one column of labels (whole numbers), but it has {schema.names}: {hint}")
    others = [name for name in dict.fromkeys([*integers, *texts]) if name != candidates[0]]
    note = f"the labels are in column {candidates[0]}, not in {listed(others)}: --label-column chooses"
    return candidates[0], [note] if others else []


def _names(schema: Any, label: str) -> tuple[str, ...]:
    """The classes' names that the Hub's library has written into the file; none where there are none."""
    try:
        content = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        feature = content.get("info", {}).get("features", {}).get(label, {})
        feature = feature[0] if isinstance(feature, list) else feature.get("feature", feature)  # of a list's parts
        names = feature.get("names", ())
    except (ValueError, AttributeError, IndexError, RecursionError):  # what stands there is anybody's
        return ()
    return tuple(map(str, names)) if isinstance(names, list) else ()


def _lists(schema: Any) -> bool:
    return any(_is_text(field.type) for field in schema)


def _holds_images(kind: pyarrow.DataType) -> bool:
    if pyarrow.types.is_struct(kind):
        return any(field.name == "bytes" and _holds_images(field.type) for field in kind)
    return bool(pyarrow.types.is_binary(kind) or pyarrow.types.is_large_binary(kind))


def is_list(kind: pyarrow.DataType) -> bool:
    """Whether a column holds lists of numbers or text, as labels of images that have several."""
    found = pyarrow.types.is_list(kind) or pyarrow.types.is_large_list(kind) or pyarrow.types.is_fixed_size_list(kind)
    return bool(found) and not is_list(kind.value_type) and _is_label(kind.value_type)


def _is_label(kind: pyarrow.DataType) -> bool:
    if pyarrow.types.is_dictionary(kind) or is_list(kind):
        kind = kind.value_type
    return bool(pyarrow.types.is_integer(kind) or pyarrow.types.is_boolean(kind)) or _is_text(kind)


def _is_text(kind: pyarrow.DataType) -> bool:
    return bool(pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind))
