"""On-the-fly native ensemble: the branches of one network, and what a gate makes of them."""

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from potstill.checked import checked
from potstill.losses.connector import BatchNorm
from potstill.losses.loss import Loss
from potstill.ranges import Count, Temperature

EPS = 1e-7


class ONE(Loss):
    """Branches of one network learn from the labels, and from the teacher that they are together: a gated ensemble.

        L = sum over branches of CE(z_b) + CE(e) + w * T^2 * sum over branches of KL(q || softmax(z_b / T))
        e = sum over branches of g_b * z_b,    g = softmax(ReLU(BN(linear(f)))),    q = softmax(e / T) + 1e-7

    f are the pooled features of the trunk. q teaches and does not learn; e learns by its own cross-entropy, with gate
    and branches. w = exp(-5 (1 - epoch / ramp)^2) rises to 1. Lan, Zhu and Gong, "Knowledge distillation by on-the-fly
    native ensemble", NeurIPS 2018, eq. 4 to 8: https://arxiv.org/abs/1806.04606. As in the authors' code, q is not
    renormalised, so that the divergence of equal logits is 1e-7 a class and not 0, and negative scores of the gate all
    count as 0. The recipe ``native-ensemble`` makes the branches.

    Knowledge: labels, responses, online. Trained parts: a gate.

    Usual weight: 1, in the place of every cross-entropy.

    Args:
        temperature: T.
        ramp: the epoch from which on w is 1, counted from 0.

    Shapes: student is (logits (N, K) of each branch, the trunk's map (N, C, H, W) or its features (N, C)); labels:
    class indices (N,) or probabilities (N, K); epoch (). `build` makes the gate.

    >>> import torch
    >>> from potstill.losses import ONE
    >>> branches, trunk = [torch.randn(8, 10) for _ in range(3)], torch.randn(8, 32, 16, 16)
    >>> batch = (*branches, trunk), torch.arange(8), torch.tensor(0.0)
    >>> loss = ONE()
    >>> loss.build(*batch)
    >>> loss.ensemble(branches, trunk).shape, loss(*batch).shape
    (torch.Size([8, 10]), torch.Size([]))
    """

    taps = (("student", "branch2", "branch3", "student.stage2"), "labels", "epoch")

    @checked
    def __init__(self, temperature: Temperature = 3.0, ramp: Count = 80) -> None:
        super().__init__()
        self.temperature, self.ramp = temperature, ramp
        self.gate: nn.Module = nn.Identity()

    def build(self, student: tuple[Tensor, ...], labels: Tensor, epoch: Tensor) -> None:
        """Make the gate."""
        *branches, trunk = student
        linear = nn.Linear(trunk.shape[1], len(branches))
        self.gate = nn.Sequential(OrderedDict(fc=linear, lift=nn.Unflatten(1, (-1, 1, 1)), bn=BatchNorm(len(branches))))
        self.gate.to(trunk)

    def forward(self, student: tuple[Tensor, ...], labels: Tensor, epoch: Tensor) -> Tensor:
        *branches, trunk = student
        weight = torch.exp(-5 * (1 - (epoch / self.ramp).clamp(max=1)).square())
        return self.compare(branches, self.ensemble(branches, trunk), labels, weight)

    def ensemble(self, branches: list[Tensor], trunk: Tensor) -> Tensor:
        """The gated sum (N, K) of the branches' logits."""
        scores = self.gate(trunk.flatten(2).mean(dim=2) if trunk.dim() > 2 else trunk).flatten(1)
        gates = F.softmax(F.relu(scores), dim=1)
        return (gates.unsqueeze(2) * torch.stack(branches, dim=1)).sum(dim=1)

    def compare(self, branches: list[Tensor], ensemble: Tensor, labels: Tensor, weight: Tensor | float) -> Tensor:
        """The loss for an ensemble's logits and a weight of what it teaches."""
        teaching = F.softmax(ensemble.detach() / self.temperature, dim=1) + EPS
        learned = [F.cross_entropy(logits, labels) for logits in (*branches, ensemble)]
        taught = [
            (teaching * (teaching.log() - F.log_softmax(logits / self.temperature, dim=1))).sum(dim=1).mean()
            for logits in branches
        ]
        return torch.stack(learned).sum() + weight * self.temperature**2 * torch.stack(taught).sum()
