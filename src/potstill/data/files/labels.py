"""Labels that stand beside the images: in a CSV or Parquet file, in their names, or in Tiny-ImageNet's annotations."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

from potstill.data.files.columns import is_list
from potstill.data.files.encoded import EXTENSIONS, is_image
from potstill.data.files.names import is_litter, listed
from potstill.errors import BadInput, first_line, unknown
from potstill.selection import Place

PATHS = ("path", "file", "filename", "file_name", "filepath", "file_path", "image", "image_path", "image_name", "img",
         "name", "id", "image_id")  # fmt: skip
LABELS = ("label", "labels", "class", "class_name", "category", "target", "species", "breed", "diagnosis", "y")
SPLITS = ("split", "set", "subset", "partition")
NAMES = "names"
"""What ``--labels`` is where file names say the classes."""
ANNOTATIONS = "val_annotations.txt"


@dataclass(frozen=True)
class Row:
    """An image that a list names, its classes (one, or several, or none) and, if the list says one, its split."""

    path: str
    labels: tuple[str, ...]
    split: str
    where: str


@dataclass(frozen=True)
class Columns:
    """Which columns of a list are what, and which others might be."""

    path: str
    label: str
    split: str | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Listing:
    """What a list says; ``several``: an image may have several labels, or none."""

    rows: list[Row]
    notes: list[str]
    several: bool = False


def read_list(file: Path, how: Place) -> Listing:
    """The images that a CSV or Parquet file names, and notes about its columns.

    Raises:
        BadInput: it cannot be read, has no such columns, or a row has no path.
    """
    if not file.is_file():
        raise BadInput(f"--labels {file} is no file; give a CSV or Parquet file, or names")
    header, rows, lists = _parquet(file) if file.suffix.lower() == ".parquet" else _csv(file)
    columns = _columns(file, header, how)
    path, label = header.index(columns.path), header.index(columns.label)
    split = None if columns.split is None else header.index(columns.split)
    several = how.label_separator is not None or columns.label in lists
    found = []
    for number, cells in rows:
        where = f"{file}, row {number}"
        if len(cells) != len(header):
            raise BadInput(f"{where} has {len(cells)} cells, its header {len(header)}")
        if not cells[path]:
            raise BadInput(f"{where} has no {columns.path}")
        if "\0" in cells[path]:
            raise BadInput(f"{where} has a path with a null byte, which no file has")
        labels = labels_in(cells[label], how.label_separator)
        found.append(Row(cells[path], labels, "" if split is None else cells[split], where))
    if not found:
        raise BadInput(f"{file} lists no image")
    return Listing(found, [*columns.notes], several)


def read_names(root: Path) -> Iterator[Row]:
    """All images in a folder, with the class that each name says; "" if it says none."""
    for file in sorted(root.rglob("*")):
        inside = file.relative_to(root)
        if is_image(file.name) and not any(map(is_litter, inside.parts)):
            split = inside.parts[0] if len(inside.parts) > 1 else ""
            name = class_in_name(file.name)
            yield Row(str(inside), () if name is None else (name,), split, str(file))


def read_annotations(folder: Path) -> list[tuple[str, str]]:
    """Path and class of Tiny-ImageNet's validation images, as ``val_annotations.txt`` has them.

    Raises:
        BadInput: a line has fewer than two words.
    """
    found = []
    file = folder / ANNOTATIONS
    for number, line in enumerate(file.read_text("utf-8", "replace").splitlines(), 1):
        words = line.split("\t") if "\t" in line else line.split()
        if len(words) < 2:
            raise BadInput(f"{file}, line {number} has no class: {line[:80]!r}")
        found.append((f"images/{words[0]}", words[1]))
    if not found:
        raise BadInput(f"{file} lists no image")
    return found


def class_in_name(name: str) -> str | None:
    """The class that a file's name says: what stands before, or after, its number.

    >>> [class_in_name(name) for name in ("cat.10.jpg", "great_dane_3.jpg", "0007_frog.png", "17.jpg", "cat.jpg")]
    ['cat', 'great_dane', 'frog', None, None]
    """
    stem = name[: -len(next((end for end in EXTENSIONS if name.lower().endswith(end)), "")) or None]
    found = re.fullmatch(r"(.*[^\W\d_].*?)[\s._-]*\(?\d+\)?", stem) or re.fullmatch(r"\d+[\s._-]+(.*[^\W\d_].*)", stem)
    return found[1].strip() if found else None


Table = tuple[list[str], Iterator[tuple[int, list[Any]]], set[str]]
"""The names of columns, the numbered rows, each of texts and lists, and which columns hold the latter."""


def _csv(file: Path) -> Table:
    try:
        text = file.read_text("utf-8-sig").lstrip("\r\n")
    except UnicodeDecodeError as error:
        raise BadInput(f"{file} is no text in UTF-8: byte {error.start} is not") from error
    separator = max(",;\t", key=text.partition("\n")[0].count)
    try:
        table = [cells for cells in csv.reader(io.StringIO(text, newline=""), delimiter=separator) if any(cells)]
    except csv.Error as error:
        raise BadInput(f"{file} is no readable CSV: {error}") from error
    if not table:
        raise BadInput(f"{file} is empty")
    header = [cell.strip() for cell in table[0]]
    return header, ((number, [cell.strip() for cell in cells]) for number, cells in enumerate(table[1:], 2)), set()


def _parquet(file: Path) -> Table:
    try:
        table = pyarrow.parquet.read_table(file)
    except (pyarrow.ArrowException, OSError) as error:
        raise BadInput(f"{file} is not a readable Parquet file: {first_line(error)}") from error
    columns = [[_plain(value) for value in column.to_pylist()] for column in table.columns]
    lists = {field.name for field in table.schema if is_list(field.type)}
    rows = ((number, list(cells)) for number, cells in enumerate(zip(*columns, strict=True)))
    return list(table.column_names), rows, lists


def _plain(value: object) -> Any:
    return value if isinstance(value, list) else "" if value is None else str(value)


def labels_in(cell: Any, separator: str | None) -> tuple[str, ...]:
    """The labels that stand in a list, or in a text, parted by a ``separator`` if there is one; each once.

    >>> labels_in("cat | dog | cat", "|"), labels_in([3, None, 5], None), labels_in("", "|"), labels_in("a|b", None)
    (('cat', 'dog'), ('3', '5'), (), ('a|b',))
    """
    if isinstance(cell, list):
        parts = [str(part) for part in cell if part is not None]
    else:
        text = "" if cell is None else str(cell)
        if separator is None:
            return (text,) if text else ()
        parts = text.split(separator)
    return tuple(dict.fromkeys(part.strip() for part in parts if part.strip()))


def _columns(file: Path, header: Sequence[str], how: Place) -> Columns:
    path, label = (
        _column(file, header, given, known, flag, what)
        for given, known, flag, what in (
            (how.image_column, PATHS, "--image-column", "paths"),
            (how.label_column, LABELS, "--label-column", "labels"),
        )
    )
    split = next((spelled for name in SPLITS if (spelled := _spelled(header, name))), None)
    others = [name for name in header if name.lower() in LABELS and name != label]
    taken = f"{file}: the images are in column {path}, the labels in {label}"
    notes = [taken + (f", not in {listed(others)}: --label-column chooses" if others else "")]
    return Columns(path, label, split, tuple(notes))


def _column(file: Path, header: Sequence[str], given: str | None, known: Sequence[str], flag: str, what: str) -> str:
    if given is not None:
        if given not in header:
            raise unknown(f"column of {file} ({flag})", given, header)
        return given
    found = next((spelled for name in known if (spelled := _spelled(header, name))), None)
    if found is None and any(map(is_image, header)):
        raise BadInput(f"{file} begins with an image: its first line has to name the columns (path,label)")
    if found is None:
        raise BadInput(
            f"{file} has no column that is called as {what} are ({known[0]}, {known[1]}, ...); it has "
            f"{listed(list(header))}: {flag} names it"
        )
    return found


def _spelled(header: Sequence[str], name: str) -> str | None:
    return next((column for column in header if column.lower().replace(" ", "_") == name), None)
