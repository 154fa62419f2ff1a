"""One file of answers: an entry for every slot, which counts only if it is whole.

An entry is the view (int64), a checksum (uint64) and the answer's bytes. The checksum covers the slot, the view and the
answer, so that nothing counts that a killed process has half written, that lies in a hole of the file, or that belongs
elsewhere. Two processes that write one entry write the same bytes. Reading goes through a memory map, which all runs
share; writing through ``pwrite``, which says that a disk is full where a memory map would kill the process.
"""

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Numbers = NDArray[np.int64]
WORD = 8
HEADER = 2 * WORD
_MIX = np.uint64(0x9E3779B97F4A7C15)


class Entries:
    """The entries of a file, which is made if need be and grows to ``slots`` of them, as holes that take no space.

    Args:
        path: the file.
        slots: how many entries there can be.
        width: bytes of an answer.

    Raises:
        OSError: it cannot be made, or be read.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     entries = Entries(Path(folder, "answers"), slots=9, width=3)
    ...     entries.write(np.array([4]), np.array([70]), np.array([[1, 2, 3]], np.uint8))
    ...     found, answers = entries.read(np.array([4, 4, 5]), np.array([70, 71, 70]))
    >>> found.tolist(), answers[0].tolist()
    ([True, False, False], [1, 2, 3])
    """

    def __init__(self, path: Path, slots: int, width: int) -> None:
        self.path, self.slots, self.width = path, slots, width
        self.words = -(-width // WORD)
        self.bytes = HEADER + self.words * WORD
        self._weights = _odd(self.words)
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        self._file = os.open(path, flags, 0o666)
        try:
            if os.fstat(self._file).st_size < slots * self.bytes:
                os.truncate(self._file, slots * self.bytes)  # another process may have made it longer meanwhile
            self._map = np.memmap(path, np.uint64, "r", shape=(slots, self.bytes // WORD))
        except BaseException:
            os.close(self._file)
            raise

    @staticmethod
    def on_disk(slots: int, width: int, answers: int, block: int) -> int:
        """Bytes of the disk that so many answers take at most.

        In a file with holes each takes the whole blocks that it lies in, and those who come later may lie there too.

        >>> Entries.on_disk(slots=1000, width=40, answers=1000, block=4096)
        57344
        >>> Entries.on_disk(slots=1_000_000, width=40, answers=1000, block=4096)
        8192000
        """
        entry = HEADER + -(-width // WORD) * WORD
        blocks = 1 + -(-(entry - 1) // block)
        return min(-(-slots * entry // block), answers * blocks) * block

    def close(self) -> None:
        """Let go of the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
            del self._map

    def read(self, slots: Numbers, views: Numbers) -> tuple[NDArray[np.bool_], Bytes]:
        """Which of these are there (n,), and the answers (n, width); those of entries that are not are any bytes."""
        rows = self._map[slots]  # copied first: it may change meanwhile, and what is checked has to be what is used
        answers = np.ascontiguousarray(rows[:, 2:])
        whole = (rows[:, 0] == views.astype(np.uint64)) & (rows[:, 1] == self._sums(slots, views, answers))
        return whole, answers.view(np.uint8)[:, : self.width]

    def write(self, slots: Numbers, views: Numbers, answers: Bytes) -> None:
        """Keep answers (n, width) of these views (n,) in these slots (n,).

        Raises:
            OSError: the disk is full, or the like; entries that are half written do not count.
        """
        rows = np.zeros((len(slots), self.bytes), np.uint8)
        rows[:, HEADER : HEADER + self.width] = answers
        words = rows.view(np.uint64)
        words[:, 0] = views
        words[:, 1] = self._sums(slots, views, words[:, 2:])
        for slot, row in zip(slots.tolist(), rows, strict=True):
            content, start = row.tobytes(), slot * self.bytes
            done = os.pwrite(self._file, content, start)
            while done < len(content):  # a disk that is nearly full takes a part, and says so the next time
                done += os.pwrite(self._file, content[done:], start + done)

    def filled(self, at_once: int = 4096) -> Numbers:
        """The slots whose entries are whole."""
        found: list[Numbers] = []
        for start in range(0, self.slots, at_once):
            slots = np.arange(start, min(start + at_once, self.slots))
            views = self.views(slots)
            if views.any():
                found.append(slots[self.read(slots, views)[0]])
        return np.concatenate(found) if found else np.empty(0, np.int64)

    def views(self, slots: Numbers) -> Numbers:
        """The views that entries say they are of."""
        return np.asarray(self._map[slots, 0], np.int64)

    def _sums(self, slots: Numbers, views: Numbers, words: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """The checksums: never that of a hole, and another one for every bit that changes."""
        place = (slots.astype(np.uint64) + np.uint64(1)) * _MIX + views.astype(np.uint64) * (_MIX ^ np.uint64(0x5A5A))
        answer = (words * self._weights).sum(axis=1, dtype=np.uint64)
        mixed = place + answer
        return np.asarray((mixed ^ (mixed >> np.uint64(29))) * _MIX + np.uint64(1), np.uint64)


def _odd(count: int) -> NDArray[np.uint64]:
    """Odd numbers, by which words are multiplied: each word then changes the sum, whichever of its bits changes."""
    numbers = np.random.Generator(np.random.PCG64(0)).integers(2**63, size=count, dtype=np.uint64)
    return np.asarray(numbers * np.uint64(2) + np.uint64(1), np.uint64)
