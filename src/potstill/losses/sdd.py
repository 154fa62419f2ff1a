"""Scale decoupled distillation."""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from potstill.checked import checked
from potstill.errors import BadInput
from potstill.losses.catkd import check_pooled
from potstill.losses.dkd import decouple
from potstill.losses.kd import divergences
from potstill.losses.labels import class_indices
from potstill.losses.loss import Loss
from potstill.losses.nkd import target_entropy
from potstill.ranges import Count, NotNegative, Temperature

Answer = Tensor | tuple[Tensor, ...]
ONE_LABEL = "SDD asks of each region whether the teacher is right there; with mixup, use KD"
SIDE = 4


class SDD(Loss):
    """A classifier answers for regions of an image too: the student learns each, above all where the teacher wavers.

        L = mean over samples and regions r of w_r * D(z_s,r, z_t,r, y)
        w_r = 2 where the teacher is right about either the region or the whole image, otherwise 1
        D = T^2 * KL(softmax(z_t / T) || softmax(z_s / T))                       base="KD"
        D = alpha * its part of the label + beta * its part of the rest          base="DKD", see `DKD`
        D = alpha * -t_y log s_y + beta * T^2 * cross-entropy of softmax(z / T)  base="NKD"

    Wei, Luo and Luo, "Scale decoupled distillation", CVPR 2024: https://arxiv.org/abs/2403.13512. z_r is
    what the network's last layer says to the mean of its last map over a cell of a grid; scales are the cells a side.
    As in the authors' code, cells are means of a 4x4 grid, which are those of the map if its sides are multiples of 4;
    ``exact`` takes the map's own. Their NKD leaves the label among the rest. They set a loss that is not finite to 0;
    here all is computed from log-probabilities, and none is.

    Knowledge: responses of regions.

    Usual weight: 0.9 beside 0.1 of cross-entropy for KD, warmup(1, 20) beside 1 for the others.

    Args:
        base: what is between two answers.
        temperature: T.
        scales: cells a side of each grid, the first 1; the authors have 1, 2, 4, or 1, 2.
        alpha: weight of the label's part, if the base has one.
        beta: weight of the rest; 2 or 8 as in DKD.
        exact: cells of the map, not of a 4x4 grid of it.

    Shapes: student and teacher: logits of regions (N, K, R), that of the whole image first; or triples of the last map
    (N, C, H, W), and the last layer's weight (K, C) and bias (K,), also "SDD on layer4, fc.weight, fc.bias". labels:
    class indices (N,) only.

    Raises:
        BadInput: the first scale is not 1, labels are not class indices, or student and teacher differ in classes or
            regions.

    >>> import torch
    >>> from potstill.losses import KD, SDD
    >>> student, teacher = torch.randn(8, 10, 21), torch.randn(8, 10, 21)
    >>> labels = teacher[:, :, 0].argmax(dim=1)
    >>> one = SDD()(student[:, :, :1], teacher[:, :, :1], labels)
    >>> torch.allclose(one, KD(temperature=4)(student[:, :, 0], teacher[:, :, 0]))  # of the whole image alone
    True
    """

    taps = (
        ("student.stage3", "student.fc.weight", "student.fc.bias"),
        ("teacher.stage3", "teacher.fc.weight", "teacher.fc.bias"),
        "labels",
    )

    hard_labels = True

    @checked
    def __init__(
        self,
        base: Literal["KD", "DKD", "NKD"] = "KD",
        temperature: Temperature = 4.0,
        scales: Sequence[Count] = (1, 2, 4),
        alpha: NotNegative = 1.0,
        beta: NotNegative = 8.0,
        exact: bool = False,
    ) -> None:
        super().__init__()
        if not scales or scales[0] != 1:
            raise BadInput(f"SDD: scales must begin with 1, the whole image, not be {list(scales)}")
        self.base, self.temperature, self.scales = base, temperature, tuple(scales)
        self.alpha, self.beta, self.exact = alpha, beta, exact

    def forward(self, student: Answer, teacher: Answer, labels: Tensor) -> Tensor:
        s, t = self.regions(student), self.regions(teacher)
        if s.shape != t.shape:
            raise BadInput(f"SDD: logits of regions {tuple(s.shape)} and {tuple(t.shape)} differ in shape")
        each = class_indices(labels, s[:, :, 0], ONE_LABEL)[:, None].expand(-1, s.shape[2])
        right = t.argmax(dim=1) == each
        weights = 1 + (right != right[:, :1]).to(s)
        rows_s, rows_t = [logits.transpose(1, 2).flatten(0, 1) for logits in (s, t)]
        return (weights.flatten() * BASES[self.base](self, rows_s, rows_t, each.flatten())).mean()

    def regions(self, answer: Answer) -> Tensor:
        """The logits of every region (N, K, R)."""
        if isinstance(answer, Tensor):
            return answer if answer.ndim == 3 else answer.unsqueeze(2)
        if len(answer) != 3:
            raise BadInput(f"SDD takes a map, and the weight and bias of the last layer, not {len(answer)} tensors")
        maps, weight, bias = answer
        check_pooled("SDD", maps, weight)
        grid = maps if self.exact else F.adaptive_avg_pool2d(maps, SIDE)
        cells = [F.adaptive_avg_pool2d(grid, side).flatten(2) for side in self.scales]
        return weight @ torch.cat(cells, dim=2) + bias[:, None]


def _kd(loss: SDD, student: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
    return divergences(student, teacher, loss.temperature) * loss.temperature**2


def _dkd(loss: SDD, student: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
    parts = zip(*(decouple(logits / loss.temperature, labels) for logits in (student, teacher)), strict=True)
    target, others = (F.kl_div(s, t, reduction="none", log_target=True).sum(dim=1) for s, t in parts)
    return (loss.alpha * target + loss.beta * others) * loss.temperature**2


def _nkd(loss: SDD, student: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
    log_s = F.log_softmax(student / loss.temperature, dim=1)
    all_classes = -((teacher / loss.temperature).softmax(dim=1) * log_s).sum(dim=1)
    return loss.alpha * target_entropy(student, teacher, labels) + loss.beta * loss.temperature**2 * all_classes


BASES = {"KD": _kd, "DKD": _dkd, "NKD": _nkd}
