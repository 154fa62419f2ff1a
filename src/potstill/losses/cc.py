"""Correlation congruence."""

import math
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from potstill.checked import checked
from potstill.errors import BadInput
from potstill.losses.loss import Loss
from potstill.losses.unit_length import unit_length
from potstill.ranges import SMALLEST, Range, Width


class CC(Loss):
    """How every two samples of a batch relate to each other is the same in student and teacher.

        kernel="rbf":         c_ij = exp(-2 g) * sum over p <= P of (2 g)^p / p! * cos(f_i, f_j)^p
                              L = mean over i, j of (c_s - c_t)^2
        kernel="neighbours":  d_i = |f_s,i - f_t,i|;    L = mean over i of d_i . d_(i+1)

    Peng et al., "Correlation congruence for knowledge distillation", ICCV 2019, eq. 4 to 8 (a Gaussian kernel of unit
    vectors, expanded by Taylor): https://arxiv.org/abs/1904.01802. "neighbours" is what RepDistiller computes under the
    name: differences between the networks, multiplied for neighbours in the batch, after learned embeddings
    (``width=128`` there).

    Knowledge: relations of samples. Trained parts: embeddings, if ``width`` is given.

    Usual weight: 0.02, beside 1 of cross-entropy.

    Args:
        gamma: g; larger looks at nearer samples only.
        order: P, the last power of the expansion.
        kernel: which of the two.
        width: learn linear embeddings of this many features, of the student's and of the teacher's; by default none.

    Shapes: student (N, D), teacher (N, D'); further dimensions are flattened. `build` is needed if ``width`` is given.

    Raises:
        BadInput: kernel "neighbours" and features of two widths.

    >>> import torch
    >>> from potstill.losses import CC
    >>> student = torch.randn(8, 64)
    >>> teacher = torch.cat([student, student], dim=1)  # twice as wide, with the same cosines
    >>> bool(CC()(student, teacher) < 1e-9)
    True
    >>> CC(kernel="neighbours")(student, student + 1)  # all 64 differences are 1
    tensor(64.)
    """

    whole_batch = True
    taps = ("student.pooled", "teacher.pooled")

    @checked
    def __init__(
        self,
        gamma: Annotated[float, Range(SMALLEST, 40)] = 0.4,
        order: Annotated[int, Range(1, 100)] = 2,
        kernel: Literal["rbf", "neighbours"] = "rbf",
        width: Width | None = None,
    ) -> None:
        super().__init__()
        self.coefficients = [math.exp(-2 * gamma) * (2 * gamma) ** p / math.factorial(p) for p in range(order + 1)]
        self.kernel, self.width = kernel, width
        self.embed_s: nn.Module = nn.Identity()
        self.embed_t: nn.Module = nn.Identity()

    def build(self, student: Tensor, teacher: Tensor) -> None:
        """Make the embeddings, if there are any, for features of these widths."""
        if self.width is not None:
            self.embed_s = nn.Linear(student.flatten(1).shape[1], self.width).to(student)
            self.embed_t = nn.Linear(teacher.flatten(1).shape[1], self.width).to(student)

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        s, t = self.embed_s(student.flatten(1)), self.embed_t(teacher.flatten(1))
        if self.kernel == "rbf":
            return F.mse_loss(self._correlations(s), self._correlations(t))
        if s.shape != t.shape:
            raise BadInput(f"CC: features {tuple(s.shape)} and {tuple(t.shape)} differ in width; embed them: width=128")
        differences = (s - t).abs()
        neighbours: Tensor = differences[:-1] * differences[1:]
        return neighbours.sum() / max(len(s) - 1, 1)

    def _correlations(self, features: Tensor) -> Tensor:
        unit = unit_length(features)
        cosines = unit @ unit.T
        correlations: Tensor = torch.full_like(cosines, self.coefficients[-1])
        for coefficient in reversed(self.coefficients[:-1]):
            correlations = correlations * cosines + coefficient
        return correlations
