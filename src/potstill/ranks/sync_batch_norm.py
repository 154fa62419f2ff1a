"""Batch norm over the rows of all ranks, on any device, of any module that calls ``torch.nn.functional.batch_norm``.

torch's SyncBatchNorm is for GPUs, is another module (timm's layers that join batch norm and activation do not become
one), and cannot be differentiated twice. Here the modules stay what they are: the function is another one meanwhile.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from potstill.ranks.rows import set_other_rows
from potstill.ranks.world import World


class SyncBatchNorm(TorchFunctionMode):
    """Inside of it, batch norm that trains takes its statistics from all ranks' rows.

    Args:
        world: the ranks.
    """

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.counts = True
        """Whether this rank's rows count."""
        self.paused = False
        """Whether the rows are already those of all ranks."""

    def __enter__(self) -> "SyncBatchNorm":
        set_other_rows(True)
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: Any) -> None:
        set_other_rows(False)
        super().__exit__(*error)  # type: ignore[no-untyped-call]

    @contextmanager
    def resting(self) -> Iterator[None]:
        """The rows inside are already those of all ranks."""
        self.paused = True
        set_other_rows(False)
        try:
            yield
        finally:
            self.paused = False
            set_other_rows(True)

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is not F.batch_norm or self.paused:
            return func(*args, **(kwargs or {}))
        return self._batch_norm(*args, **(kwargs or {}))

    def _batch_norm(
        self,
        input: Tensor,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        training: bool = False,
        momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> Tensor:
        if not training:
            return F.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)
        x = input.to(torch.promote_types(input.dtype, torch.float32))
        rest = [0, *range(2, x.dim())]
        shape = [1, -1, *[1] * (x.dim() - 2)]
        number = x.new_full((1,), x.numel() / x.shape[1])
        sums: Tensor = self._sum(torch.cat([x.sum(rest), number]))
        count = sums[-1].detach()
        mean = sums[:-1] / count
        away = x - mean.view(shape)
        squares: Tensor = self._sum(away.square().sum(rest))
        variance = squares / count
        with torch.no_grad():
            if running_mean is not None:
                running_mean.lerp_(mean.to(running_mean), momentum)
            if running_var is not None:
                running_var.lerp_((squares / (count - 1).clamp(min=1)).to(running_var), momentum)
        scale = torch.rsqrt(variance + eps)
        if weight is not None:
            scale = scale * weight
        out: Tensor = away * scale.view(shape)
        out = out if bias is None else out + bias.view(shape)
        return out.to(input.dtype)

    def _sum(self, own: Tensor) -> Tensor:
        """The sum over all ranks; a rank whose rows do not count adds nothing, and moves none of the others."""
        if self.counts:
            return _Sum.apply(own, self.world)  # type: ignore[no-any-return]
        total: Tensor = _Sum.apply(0 * own, self.world)
        return total.detach() + 0 * total


class _Sum(torch.autograd.Function):
    """The sum over all ranks, whose gradient is the sum of theirs; so it can be differentiated again."""

    @staticmethod
    def forward(ctx: Any, own: Tensor, world: World) -> Tensor:
        ctx.world = world
        total = own.detach().clone()
        world.wait(world.sum(total))
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return _Sum.apply(gradients[0].contiguous(), ctx.world), None
