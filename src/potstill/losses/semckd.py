"""Cross-layer distillation with semantic calibration."""

from collections import OrderedDict
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from potstill.checked import checked
from potstill.errors import BadInput
from potstill.losses.connector import BatchNorm
from potstill.losses.loss import Loss
from potstill.losses.sizes import pool_to_smaller
from potstill.losses.unit_length import unit_length
from potstill.ranges import Count, Range, Temperature

Maps = tuple[Tensor, ...]


class SemCKD(Loss):
    """Each map of the student learns from all of the teacher's, and most from those in which the batch looks alike.

        G(a) = inner products of a batch's samples, N x N;    q_i = u(MLP_i(G(s_i))),    k_j = u(MLP_j(G(t_j)))
        w[b, i, j] = softmax over j of q_i[b] . k_j[b] / T;    d[b, i, j] = mean of (r_ij(s_i)[b] - t_j[b])^2
        L = sum over i and j of w * d, mean over the batch and the student's maps

    Chen et al., "Cross-layer distillation with semantic calibration", AAAI 2021: https://arxiv.org/abs/2012.03236. u(x)
    = x / ||x||; r_ij are three convolutions. Gradients flow through w, too. The authors' weight is 400, beside
    cross-entropy and KD; T is from their later code.

    A row of G has one entry for each image, so the MLPs are made for batches of one size: ``batch`` must be yours. In
    the originals a smaller batch fails or mixes samples, and the last one is dropped; here the images that it lacks
    have inner products of 0. Nothing is divided by a length of 0: such a row stays 0.

    Knowledge: features. Trained parts: an MLP for each map, a regressor for each pair of maps.

    Usual weight: 400, beside 1 of cross-entropy and 1 of KD; for ImageNet 50.

    Args:
        batch: the most images of a batch, of all processes together.
        factor: the MLPs end in batch // factor features, and have twice as many inside.
        temperature: T of the attention.

    Shapes: student and teacher tuples of maps (N, C_i, H_i, W_i), of any numbers, channels and sizes; `build` needs
    a pair of them. Of two sizes, the larger map is average-pooled to the smaller.

    Raises:
        BadInput: more images than ``batch``, or fewer in ``batch`` than ``factor``.

    >>> import torch
    >>> from potstill.losses import SemCKD
    >>> student = torch.randn(8, 16, 8, 8), torch.randn(8, 32, 4, 4)
    >>> teacher = torch.randn(8, 16, 8, 8), torch.randn(8, 32, 4, 4), torch.randn(8, 64, 2, 2)
    >>> loss = SemCKD(batch=8)
    >>> loss.build(student, teacher)
    >>> loss.attention(student, teacher).shape, loss(student, teacher).shape
    (torch.Size([8, 2, 3]), torch.Size([]))
    """

    whole_batch = True
    taps = (
        ("student.stage1", "student.stage2", "student.stage3"),
        ("teacher.stage1", "teacher.stage2", "teacher.stage3"),
    )

    @checked
    def __init__(
        self, batch: Annotated[int, Range(1, 2**14)] = 64, factor: Count = 4, temperature: Temperature = 1.0
    ) -> None:
        super().__init__()
        if batch < factor:
            raise BadInput(f"SemCKD: batch={batch} images make no feature with factor={factor}; at least as many")
        self.batch, self.factor, self.temperature = batch, factor, temperature

    def build(self, student: Maps, teacher: Maps) -> None:
        """Make the MLPs and the regressors for maps of these shapes."""
        self.query = nn.ModuleList(_mlp(self.batch, self.batch // self.factor) for _ in student)
        self.key = nn.ModuleList(_mlp(self.batch, self.batch // self.factor) for _ in teacher)
        self.regressor = nn.ModuleList(
            nn.ModuleList(_regressor(s.shape[1], t.shape[1]) for t in teacher) for s in student
        )
        self.to(student[0])

    def forward(self, student: Maps, teacher: Maps) -> Tensor:
        distances = torch.stack([self._distances(i, own, teacher) for i, own in enumerate(student)], dim=1)
        return (self.attention(student, teacher) * distances).sum(dim=(1, 2)).mean() / len(student)

    def attention(self, student: Maps, teacher: Maps) -> Tensor:
        """What each map of the student takes from each of the teacher's, (N, student's, teacher's)."""
        queries, keys = (
            torch.stack([unit_length(mlp(self._products(m))) for mlp, m in zip(mlps, maps, strict=True)], dim=1)
            for mlps, maps in ((self.query, student), (self.key, teacher))
        )
        return torch.softmax(queries @ keys.transpose(1, 2) / self.temperature, dim=2)

    def _products(self, maps: Tensor) -> Tensor:
        if len(maps) > self.batch:
            raise BadInput(f"SemCKD: made for batches of {self.batch} images at most; write SemCKD(batch={len(maps)})")
        flat = maps.flatten(1)
        return F.pad(flat @ flat.T, (0, self.batch - len(maps)))

    def _distances(self, i: int, own: Tensor, teacher: Maps) -> Tensor:
        """The mean squared differences of a student's map to each of the teacher's, (N, teacher's)."""
        found = []
        for j, target in enumerate(teacher):
            pooled, target = pool_to_smaller(own, target)
            found.append((self.regressor[i][j](pooled) - target).square().mean(dim=(1, 2, 3)))  # type: ignore[index]
        return torch.stack(found, dim=1)


def _mlp(width: int, out_width: int) -> nn.Sequential:
    first, second = nn.Linear(width, 2 * out_width), nn.Linear(2 * out_width, out_width)
    return nn.Sequential(OrderedDict(linear1=first, relu=nn.ReLU(), linear2=second))


def _regressor(channels: int, out_channels: int) -> nn.Sequential:
    middle = 2 * out_channels
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for i, (width, kernel) in enumerate(((channels, 1), (middle, 3)), start=1):
        layers[f"conv{i}"] = nn.Conv2d(width, middle, kernel, padding=kernel // 2, bias=False)
        layers[f"bn{i}"] = BatchNorm(middle)
        layers[f"relu{i}"] = nn.ReLU()
    layers["conv3"] = nn.Conv2d(middle, out_channels, 1, bias=False)
    return nn.Sequential(layers)
