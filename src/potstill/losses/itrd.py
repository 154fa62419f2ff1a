"""Information theoretic representation distillation."""

import torch
from torch import Tensor, nn

from potstill.checked import checked
from potstill.errors import BadInput
from potstill.losses.centred import centred
from potstill.losses.loss import Loss
from potstill.losses.unit_length import unit_length
from potstill.ranges import NotNegative, Power


class ITRD(Loss):
    """Each feature of the student goes up and down with the teacher's over the batch, and the same samples are alike.

        c_d = correlation of feature d of embed(s) and of t, times (N - 1) / N
        L = w_c * log2(sum over d of |c_d - 1|^(2 alpha)) + w_m * sum over i, j of G_s^2 - G_st^2

    G_s and G_t are the N x N cosines of the samples, G_st their product element by element; each divided by its trace.
    Miles, Lopez-Rodriguez and Mikolajczyk, "Information theoretic representation distillation", BMVC 2022, section 3:
    https://arxiv.org/abs/2112.00459. As in the authors' code, a perfect correlation is (N - 1) / N, so that the least
    loss depends on the batch; the sum over d is of all features; G_s is of the embedded features only where the widths
    differ. A feature that is the same for all samples has correlation 0, where the original is nan. One sample has
    correlation 0, too.

    Knowledge: relations of samples. Trained parts: an embedding of the student's features.

    Usual weight: 1, beside 1 of cross-entropy.

    Args:
        correlation: weight w_c.
        mutual: weight w_m; 1 for wide ResNets. A part of weight 0 is left out.
        alpha: 1.01 for wide ResNets.

    Shapes: student (N, D), teacher (N, D'); further dimensions are flattened. `build` makes the embedding.

    >>> import torch
    >>> from potstill.losses import ITRD
    >>> student, teacher = torch.randn(8, 32), torch.randn(8, 64)
    >>> loss = ITRD()
    >>> loss.build(student, teacher)
    >>> loss.embed, loss(student, teacher).shape
    (Linear(in_features=32, out_features=64, bias=True), torch.Size([]))
    """

    whole_batch = True
    taps = ("student.pooled", "teacher.pooled")

    @checked
    def __init__(self, correlation: NotNegative = 2.0, mutual: NotNegative = 0.05, alpha: Power = 1.5) -> None:
        super().__init__()
        if not (correlation or mutual):
            raise BadInput("ITRD: both weights are 0")
        self.correlation, self.mutual, self.alpha = correlation, mutual, alpha
        self.embed: nn.Module = nn.Identity()

    def build(self, student: Tensor, teacher: Tensor) -> None:
        """Make the embedding for features of these widths."""
        own, width = student.flatten(1).shape[1], teacher.flatten(1).shape[1]
        if self.correlation or own != width:
            self.embed = nn.Linear(own, width).to(student)

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        student, teacher = student.flatten(1), teacher.flatten(1)
        embedded, parts = self.embed(student), []
        if self.correlation:
            ours, theirs = (unit_length(centred(features, dim=0).T) for features in (embedded, teacher))
            correlations = (ours * theirs).sum(dim=1) * (len(student) - 1) / len(student)
            parts.append(self.correlation * (1 - correlations).pow(2 * self.alpha).sum().log2())
        if self.mutual:
            own, other = _cosines(student if student.shape == teacher.shape else embedded), _cosines(teacher)
            mutual = _by_trace(own).square().sum() - _by_trace(own * other).square().sum()
            parts.append(self.mutual * mutual)
        return torch.stack(parts).sum()


def _cosines(features: Tensor) -> Tensor:
    unit = unit_length(features)
    return unit @ unit.T


def _by_trace(matrix: Tensor) -> Tensor:
    # Each sample adds 1, or 0 where its features are all 0.
    return matrix / matrix.diagonal().sum().clamp(min=0.5)
