"""Predictions as a file: CSV, JSON or Parquet."""

import csv
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

from potstill.errors import BadInput
from potstill.predicting.predictions import Predictions
from potstill.strict_json import strict
from potstill.text import in_csv, is_text, printable
from potstill.whole_file import write_whole


def must_be_writable(file: Path) -> None:
    """Raise BadInput, before any picture is looked at, if ``file`` has none of the known endings, or is a folder."""
    if file.suffix.lower() not in _FORMATS:
        raise BadInput(f"--out {file} ends in none of {', '.join(_FORMATS)}, which say what is written")
    if file.is_dir():
        raise BadInput(f"--out {file} is a folder, not a file")


def write(file: Path, predictions: Predictions, about: Mapping[str, Any]) -> None:
    """Write predictions in the format that the file's ending says; ``about`` says of which network, in JSON.

    In CSV and Parquet a picture is a row: ``image``, ``class_1``, ``probability_1``, ``class_2``, ..., and ``problem``,
    which is why it could not be read.
    """
    content = _FORMATS[file.suffix.lower()](predictions, about)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, content)


def _columns(predictions: Predictions) -> dict[str, list[Any]]:
    """A column's name, and what it has for each picture; those that could not be read come last."""
    none = [None] * len(predictions.unreadable)
    columns: dict[str, list[Any]] = {"image": [*predictions.images, *predictions.unreadable]}
    for k in range(predictions.labels.shape[1]):
        names = [predictions.classes[label] for label in predictions.labels[:, k].tolist()]
        columns |= {f"class_{k + 1}": [*names, *none]}
        columns |= {f"probability_{k + 1}": [*predictions.probabilities[:, k].tolist(), *none]}
    return columns | {"problem": [*[None] * len(predictions.images), *predictions.unreadable.values()]}


def _csv(predictions: Predictions, _: Mapping[str, Any]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = _columns(predictions)
    writer.writerow(columns)
    for row in zip(*columns.values(), strict=True):
        writer.writerow("" if cell is None else in_csv(str(cell)) for cell in row)
    return text.getvalue().encode()


def _json(predictions: Predictions, about: Mapping[str, Any]) -> bytes:
    found = {**about, "predictions": list(predictions.rows()), "unreadable": predictions.unreadable_rows()}
    return (strict(found) + "\n").encode()


def _parquet(predictions: Predictions, _: Mapping[str, Any]) -> bytes:
    columns = {name: [_utf8(cell) for cell in column] for name, column in _columns(predictions).items()}
    kinds = {name: pyarrow.float32() if name.startswith("probability") else pyarrow.string() for name in columns}
    table = pyarrow.table({name: pyarrow.array(column, kinds[name]) for name, column in columns.items()})
    buffer = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(table, buffer)
    return bytes(buffer.getvalue())


def _utf8(cell: Any) -> Any:
    """A cell that Parquet can hold: a file's name need not be UTF-8."""
    return printable(cell) if isinstance(cell, str) and not is_text(cell) else cell


_FORMATS: dict[str, Callable[[Predictions, Mapping[str, Any]], bytes]] = {
    ".csv": _csv,
    ".json": _json,
    ".parquet": _parquet,
}
