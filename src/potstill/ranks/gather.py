"""The whole batch on every rank, for losses that compare its rows with each other."""

from typing import Any

import torch
from torch import Tensor

from potstill.ranks.world import World


def gathered(own: Tensor, counts: list[int], world: World) -> Tensor:
    """The rows of all ranks (N, ...), in their order; gradients reach this rank's.

    What comes of it is the same on all ranks, and is weighed there by their parts n / N of the batch, so that the
    gradients' sum over the ranks is right for whatever weights the loss has. A rank sees its own rows' gradient n / N
    times, then, and gives it back whole: no rank has to wait for another in the backward pass.

    Args:
        own: this rank's rows (n, ...); one that counts for nothing if it has none.
        counts: every rank's n.
        world: the ranks.
    """
    if own.requires_grad and torch.is_grad_enabled():
        rows: Tensor = _Rows.apply(own, counts, world)
        return rows
    return _all_rows(own, counts, world)


class _Rows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, own: Tensor, counts: list[int], world: World) -> Tensor:
        ctx.counts, ctx.rank, ctx.given = counts, world.rank, len(own)
        return _all_rows(own, counts, world)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = gradients
        start, own = sum(ctx.counts[: ctx.rank]), ctx.counts[ctx.rank]
        if own == 0:
            return gradient.new_zeros(ctx.given, *gradient.shape[1:]), None, None
        return gradient[start : start + own] * (sum(ctx.counts) / own), None, None


def _all_rows(own: Tensor, counts: list[int], world: World) -> Tensor:
    plain = own.detach()
    sent = plain.to(torch.uint8) if plain.dtype == torch.bool else plain
    padded = sent.new_zeros(max(counts), *sent.shape[1:])
    padded[: counts[world.rank]] = sent[: counts[world.rank]]
    parts = [rows[:count] for rows, count in zip(world.gather(padded), counts, strict=True)]
    return torch.cat(parts).to(plain.dtype)
