"""Images that are there twice."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Group:
    """Rows of equal images, and whether their files are equal, or only what these show."""

    rows: tuple[int, ...]
    exactly: bool


def find_duplicates(contents: NDArray[np.void], pixels: NDArray[np.void], good: NDArray[np.bool_]) -> Iterator[Group]:
    """Groups of rows whose files, or else whose pixels, are equal, by their digests; of ``good`` rows only."""
    for rows in _groups(pixels, good):
        files = {contents[row].tobytes() for row in rows}
        yield Group(tuple(rows), len(files) == 1 and any(next(iter(files))))


def _groups(digests: NDArray[np.void], good: NDArray[np.bool_]) -> Iterator[Sequence[int]]:
    """Rows of equal digests, in order of their first."""
    rows = np.flatnonzero(good)
    order = rows[np.argsort(digests[rows], kind="stable")]
    same = digests[order[1:]] == digests[order[:-1]]
    starts = np.flatnonzero(np.concatenate([[True], ~same]))
    ends = np.append(starts[1:], len(order))
    found = [order[start:end].tolist() for start, end in zip(starts, ends, strict=True) if end - start > 1]
    yield from sorted(found)
