"""Self-distillation from the last mini-batch."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from potstill.checked import checked
from potstill.losses.kd import KD
from potstill.losses.loss import Loss
from potstill.ranges import NotNegative, Temperature


class DLB(Loss):
    """A network repeats itself: of the batch before, seen in another view, it says again what it said a step ago.

        L = mean over both batches of CE + alpha * T^2 * KL(softmax(e / T) || softmax(z_p / T))

    z are the logits of the new batch and z_p, now, of another view of the batch before; e are the logits that its first
    view had a step ago. Shen, Xu, Yang, Li and Guo, "Self-distillation from the last mini-batch for consistency
    regularization", CVPR 2022, eq. 5 and 6: https://arxiv.org/abs/2203.16172. It takes the place of cross-entropy:
    ``potstill supervised --terms DLB``, where the loader gives the batch before as ``previous``. The last batch of an
    epoch is carried into the next one. Before the very first step there is none: that batch is its own predecessor,
    where the authors leave this part out. They also keep the graph of the earlier logits, which has no use.

    The kept logits are those of the batch that it was called with before, so each process, and each part of a batch,
    needs a loss of its own; potstill refuses several processes and ``--accumulate``.

    Knowledge: labels, and responses of the network itself.

    Usual weight: 1, in the place of cross-entropy.

    Args:
        alpha: weight of the repetition.
        temperature: T.

    Shapes: student is (logits (N, K) of the new batch, logits (M, K) of the one before); labels: class indices (N,) or
    probabilities (N, K); previous labels likewise, of M images. M is the N of the call before, in train mode.

    >>> import torch
    >>> from potstill.losses import CE, DLB
    >>> new, old, labels = torch.randn(8, 10), torch.randn(8, 10), torch.arange(8)
    >>> loss, both = DLB(), CE()(torch.cat([new, new]), torch.cat([labels, labels]))
    >>> torch.isclose(loss((new, new), labels, labels), both)  # there was nothing before
    tensor(True)
    >>> torch.isclose(loss((old, new), labels, labels), CE()(torch.cat([old, new]), torch.cat([labels, labels])))
    tensor(True)
    >>> loss((new, new), labels, labels) > both  # a step ago these were the logits ``old``
    tensor(True)
    """

    carries = True
    taps = (("student", "student@previous"), "labels", "previous_labels")
    earlier: Tensor  # its first rows are the logits kept last; no rows before the first step

    @checked
    def __init__(self, alpha: NotNegative = 1.0, temperature: Temperature = 3.0) -> None:
        super().__init__()
        self.alpha, self.temperature = alpha, temperature
        self.register_buffer("earlier", torch.empty(0, 0))

    def forward(self, student: tuple[Tensor, Tensor], labels: Tensor, previous_labels: Tensor) -> Tensor:
        current, previous = student
        earlier = self.earlier[: len(previous)] if len(self.earlier) else current.detach()
        loss = self.compare(current, previous, labels, previous_labels, earlier)
        if self.training:
            self._keep(current.detach())
        return loss

    def compare(
        self, current: Tensor, previous: Tensor, labels: Tensor, previous_labels: Tensor, earlier: Tensor
    ) -> Tensor:
        """The loss for given ``earlier`` logits (M, K)."""
        ce = F.cross_entropy(torch.cat([previous, current]), torch.cat([previous_labels, labels]))
        repeated: Tensor = KD(self.temperature)(previous, earlier.to(previous))
        return ce + self.alpha * repeated

    def _keep(self, logits: Tensor) -> None:
        """In place, unless there are more rows than ever: a captured step goes on with the same tensor."""
        if len(logits) > len(self.earlier):
            self.earlier = logits.clone()
        else:
            self.earlier[: len(logits)] = logits

    def _load_from_state_dict(self, state: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        """What `load_state_dict` calls of every module: there may be any number of rows."""
        if (kept := state.get(f"{prefix}earlier")) is not None:
            self.earlier = torch.empty_like(kept, device=self.earlier.device)
        super()._load_from_state_dict(state, prefix, *rest)
