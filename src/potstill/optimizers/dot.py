"""A distillation-oriented trainer: an optimiser of two gradients."""

from collections.abc import Iterable
from typing import Annotated, Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from potstill.checked import checked
from potstill.errors import BadInput
from potstill.ranges import Fraction, Momentum, Positive, Range

Delta = Annotated[float, Range(0, 0.9999)]


class DOT(Optimizer):
    """SGD with a momentum for what the teacher says, which lasts longer, and one for what the task asks.

        b_kd   <- (m + d) * b_kd + g_kd
        b_task <- (m - d) * b_task + g_task + decay * w;    w <- w - lr * (b_kd + b_task)

    Zhao, Cui, Song and Liang, "DOT: a distillation-oriented trainer", ICCV 2023, eq. 6 to 8:
    https://arxiv.org/abs/2307.08436. What has only one of the two gradients has the momentum m. As in the authors'
    code, what has only the teacher's (connectors) has no weight decay in its first step.

    Args:
        params: parameters, or groups of them.
        lr: learning rate, a number or a tensor.
        momentum: m.
        delta: d; 0.075 on CIFAR-100 and 0.09 on ImageNet.
        weight_decay: of all parameters.

    Raises:
        BadInput: momentum and delta are such that one of the two is below 0 or no less than 1.

    >>> import torch
    >>> from potstill.optimizers import DOT
    >>> weight = torch.nn.Parameter(torch.ones(()))
    >>> optimizer = DOT([weight], lr=0.1)
    >>> for _ in range(2):
    ...     optimizer.backward(task=2 * weight, distillation=weight)
    ...     optimizer.step()
    ...     optimizer.zero_grad()
    >>> weight  # 1 - 0.1 * (2 + 1) - 0.1 * (0.825 * 2 + 2 + 0.975 * 1 + 1)
    Parameter containing:
    tensor(0.1375, requires_grad=True)
    """

    @checked
    def __init__(
        self,
        params: Iterable[Any],
        lr: Positive | Tensor,
        momentum: Momentum = 0.9,
        delta: Delta = 0.075,
        weight_decay: Fraction = 0.0,
    ) -> None:
        if not 0 <= momentum - delta <= momentum + delta < 1:
            raise BadInput(f"DOT: momentum {momentum} less and plus delta {delta} must both be in 0..1")
        defaults = {"lr": lr, "momentum": momentum, "delta": delta, "weight_decay": weight_decay}
        super().__init__(params, defaults)
        self.distilled: dict[Tensor, Tensor] = {}  # gradients of the teacher's terms; those of the task are as usual

    def backward(self, task: Tensor, distillation: Tensor) -> None:
        """Add the gradients of two totals, scalars that may share their graph, each to its own.

        One of them may have no graph, where nothing of it is to be learned.
        """
        parameters = [p for group in self.param_groups for p in group["params"]]
        if distillation.requires_grad:
            found = torch.autograd.grad(distillation, parameters, retain_graph=True, allow_unused=True)
            for parameter, gradient in zip(parameters, found, strict=True):
                if gradient is not None:
                    before = self.distilled.get(parameter)
                    self.distilled[parameter] = gradient if before is None else before + gradient
        if task.requires_grad:
            task.backward()  # type: ignore[no-untyped-call]

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget both gradients."""
        super().zero_grad(set_to_none)
        self.distilled = {}

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Move the parameters that have a gradient of either kind."""
        for group in self.param_groups:
            for parameter in group["params"]:
                task, distilled = parameter.grad, self.distilled.get(parameter)
                if task is not None or distilled is not None:
                    self._move(parameter, task, distilled, group)

    def _move(self, parameter: Tensor, task: Tensor | None, distilled: Tensor | None, group: dict[str, Any]) -> None:
        state, momentum, decay = self.state[parameter], group["momentum"], group["weight_decay"] * parameter
        apart = group["delta"] if task is not None and distilled is not None else 0.0
        moved = []
        if task is not None:
            moved.append(_add(state, "task", momentum - apart, task + decay))
        if distilled is not None:
            alone = task is None and "kd" in state
            moved.append(_add(state, "kd", momentum + apart, distilled + decay if alone else distilled))
        for buffer in moved:
            parameter.sub_(group["lr"] * buffer)


def _add(state: dict[str, Tensor], name: str, momentum: float, gradient: Tensor) -> Tensor:
    """A buffer with a gradient added to what is kept of it; at first it is the gradient."""
    if name in state:
        state[name].mul_(momentum).add_(gradient)
    else:
        state[name] = gradient.clone()
    return state[name]
