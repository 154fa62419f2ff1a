"""How alike vectors are to others, as probabilities, and a queue of such others."""

from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from potstill.ranges import Range

QueueLength = Annotated[int, Range(1, 2**20)]
"""Vectors in a queue: more take gigabytes."""


def similarity_kl(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """KL(teacher || student) of the softmax over similarities (..., M) divided by a temperature, mean over the rows."""
    log_s, log_t = (F.log_softmax(values / temperature, dim=-1) for values in (student, teacher))
    return F.kl_div(log_s, log_t, reduction="sum", log_target=True) / (log_s.numel() / log_s.shape[-1])


def queued(queue: Tensor, newest: Tensor) -> Tensor:
    """The queue (Q, D) after the newest rows (N, D) have come in front, and as many at its end have left."""
    return torch.cat([newest, queue])[: len(queue)]
