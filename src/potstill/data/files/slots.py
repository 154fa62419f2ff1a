"""Memory in which worker processes leave their batches."""

import torch
from torch import Tensor
from torch.utils.data import get_worker_info

from potstill.errors import BadInput

PREFETCH = 4
"""Batches that each worker prepares ahead, so that a slow image is done by the time it is wanted."""

Place = tuple[int, int]  # worker, and which of its slots


class Slots:
    """A few batches of pixels a worker, in memory that all processes share, written to in turn.

    It is there from the start. To make shared memory for every batch, and to hand it over, takes about as long as to
    cut the images. A worker has at most ``PREFETCH`` batches waiting, and one more is being read: a slot is free again
    after ``PREFETCH + 1`` batches. So a batch has to be read before the next one is asked for.

    Raises:
        BadInput: there is not so much shared memory.
    """

    def __init__(self, workers: int, batch_size: int, size: int) -> None:
        try:
            memory = torch.empty(workers, PREFETCH + 1, batch_size, size, size, 3, dtype=torch.uint8)
            self.memory: Tensor = memory.share_memory_()  # type: ignore[no-untyped-call]
        except RuntimeError as error:
            needed = workers * (PREFETCH + 1) * batch_size * size * size * 3 / 1e9
            raise BadInput(
                f"--workers {workers} need {needed:.1f} GB of shared memory for batches of {batch_size}, more than "
                "there is; give fewer workers, or the machine more of it (Docker: --shm-size)"
            ) from error
        self.turn = 0

    def next(self) -> Place:
        """In a worker: its next slot."""
        worker = get_worker_info()
        assert worker is not None, "only workers write"
        self.turn = (self.turn + 1) % (PREFETCH + 1)
        return worker.id, self.turn

    def __getitem__(self, place: Place) -> Tensor:
        """The pixels (B, size, size, 3) of a slot."""
        return self.memory[place]
