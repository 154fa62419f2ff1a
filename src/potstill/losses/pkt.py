"""Probabilistic knowledge transfer."""

import torch
import torch.nn.functional as F
from torch import Tensor

from potstill.checked import checked
from potstill.losses.loss import Loss
from potstill.ranges import Epsilon


class PKT(Loss):
    """Who is near whom: each sample's similarities to the batch, as probabilities, agree in student and teacher.

        k_ij = (1 + cos(f_i, f_j)) / 2;    p_ij = k_ij / sum over j of k_ij;    L = mean of p_t * log(p_t / p_s)

    Passalis and Tefas, "Learning deep representations with probabilistic knowledge transfer", ECCV 2018, eq. 3 to 8:
    https://arxiv.org/abs/1803.10837. As in the authors' code, a sample counts as its own neighbour, the divergence is
    averaged where eq. 8 sums (weigh it with about 30000), and ``eps`` guards lengths and both probabilities. A sample
    whose features are all 0 has cosine 0 with every other, and no gradient.

    Knowledge: relations of samples.

    Usual weight: 30000, beside 1 of cross-entropy.

    Args:
        eps: 1e-7 in the authors' code, RepDistiller and mdistiller; 1e-6 in the Knowledge-Distillation-Zoo.

    Shapes: student (N, D), teacher (N, D'); further dimensions are flattened.

    >>> import torch
    >>> from potstill.losses import PKT
    >>> student = torch.randn(64, 32)
    >>> teacher = torch.cat([student, student], dim=1)  # twice as wide, with the same neighbours
    >>> bool(PKT()(student, teacher).abs() < 1e-6)
    True
    """

    whole_batch = True
    taps = ("student.pooled", "teacher.pooled")

    @checked
    def __init__(self, eps: Epsilon = 1e-7) -> None:
        super().__init__()
        self.eps = eps

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        p_s, p_t = self._neighbours(student.flatten(1)), self._neighbours(teacher.flatten(1))
        logs: Tensor = torch.log((p_t + self.eps) / (p_s + self.eps))
        return torch.dot(p_t.flatten(), logs.flatten()) / logs.numel()

    def _neighbours(self, features: Tensor) -> Tensor:
        lengths: Tensor = torch.linalg.vector_norm(features, dim=1, keepdim=True)
        unit = features / (lengths + self.eps).masked_fill(lengths == 0, torch.inf)
        similarities = F.relu(1 + unit @ unit.T)  # rounding can bring opposites below 0; halves cancel out
        return similarities / similarities.sum(dim=1, keepdim=True)
