"""Which rows of a batch are this process's, where it has further ones on others."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor

from potstill.data.batch_sizes import rows_of_part

_elsewhere = False
_part = (0, 1)


def other_rows() -> bool:
    """Whether what is given to a module is only a part of what its batch norm sees, see `SyncBatchNorm`."""
    return _elsewhere


def set_other_rows(elsewhere: bool) -> None:
    """Say so."""
    global _elsewhere
    _elsewhere = elsewhere


def own_part(rows: Tensor) -> Tensor:
    """Of rows (N, ...) that all processes have found alike, those that this one works on; all if it is alone."""
    wanted = rows_of_part(len(rows), *_part)
    return rows[wanted.start : wanted.stop]


@contextmanager
def parted(part: int, parts: int) -> Iterator[None]:
    """Inside of it, this process is one of several in `own_part`."""
    global _part
    _part = (part, parts)
    try:
        yield
    finally:
        _part = (0, 1)
