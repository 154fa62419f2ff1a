"""The files that a split consists of, rows of columns: Parquet, or Arrow's own as `datasets` saves it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow
import pyarrow.ipc
import pyarrow.parquet

from potstill.data.files.arrow_path import arrow_file
from potstill.errors import BadInput, first_line

ARROW = ".arrow"


def schema_of(shard: Path) -> pyarrow.Schema:
    """The columns of a shard.

    Raises:
        BadInput: it is not readable.
    """
    with _readable(shard), arrow_file(shard) as content:
        if shard.suffix == ARROW:
            return pyarrow.ipc.open_stream(content).schema
        return pyarrow.parquet.read_schema(content)


def rows_of(shard: Path) -> int:
    """How many rows a shard has; errors as `schema_of`."""
    with _readable(shard), arrow_file(shard) as content:
        if shard.suffix == ARROW:
            return sum(batch.num_rows for batch in pyarrow.ipc.open_stream(content))
        rows: int = pyarrow.parquet.read_metadata(content).num_rows
        return rows


def batches_of(shard: Path, columns: Sequence[str]) -> Iterator[pyarrow.RecordBatch]:
    """Its rows, some at a time, with these columns alone; errors as `schema_of`."""
    with _readable(shard), arrow_file(shard) as content:
        if shard.suffix == ARROW:
            for batch in pyarrow.ipc.open_stream(content):
                yield batch.select(columns)
            return
        with pyarrow.parquet.ParquetFile(content) as file:
            yield from file.iter_batches(batch_size=256, columns=list(columns))


@contextmanager
def _readable(shard: Path) -> Iterator[None]:
    """Name a shard that is not what it should be."""
    try:
        yield
    except (pyarrow.ArrowException, OSError) as error:
        kind = "Arrow" if shard.suffix == ARROW else "Parquet"
        raise BadInput(f"{shard} is not a readable {kind} file of images: {first_line(error)}") from error
