"""Knowledge distillation by alpha-beta divergence."""

from typing import Annotated

import torch.nn.functional as F
from torch import Tensor

from potstill.checked import checked
from potstill.errors import BadInput
from potstill.losses.loss import Loss
from potstill.ranges import Range, Temperature

LEAST = 0.01  # what is less and not 0 would be a difference of nearly equal numbers, divided by it
Power = Annotated[float, Range(0, 4)]


class ABKD(Loss):
    """KD by a family of divergences: alpha cares for classes of which the teacher is sure, beta for the student's own.

        L = mean over the batch of sum over classes of
            (alpha * p^(alpha + beta) + beta * q^(alpha + beta) - (alpha + beta) * p^alpha q^beta)
            / (alpha * beta * (alpha + beta)),    p = softmax(z_t / T),    q = softmax(z_s / T)

    Wang, Yang, Wang, Wang, Xu and Huang, "ABKD: pursuing a proper allocation of the probability mass in knowledge
    distillation via alpha-beta-divergence", ICML 2025: https://arxiv.org/abs/2505.04560. alpha=1, beta=0 is KL(p || q),
    alpha=0, beta=1 is KL(q || p): where one is 0, L is the limit, as Cichocki et al. have it; the authors' code differs
    from that by a factor, 1 for these two. There is no T^2, as in the code. No number of the original was at hand, so
    that this is checked against the formula and known divergences.

    Knowledge: responses.

    Usual weight: no published one was at hand.

    Args:
        alpha: power of the teacher's probabilities; 0, or 0.01 and more.
        beta: power of the student's probabilities; 0, or 0.01 and more.
        temperature: T.

    Shapes: student and teacher logits (N, K).

    Raises:
        BadInput: both powers are 0, or one is nearly.

    >>> import torch
    >>> from potstill.losses import ABKD, KD
    >>> student, teacher = torch.randn(8, 10), torch.randn(8, 10)
    >>> torch.allclose(ABKD(alpha=1, beta=0)(student, teacher), KD(temperature=1)(student, teacher))
    True
    """

    @checked
    def __init__(self, alpha: Power = 0.5, beta: Power = 0.5, temperature: Temperature = 1.0) -> None:
        super().__init__()
        if not (alpha or beta) or 0 < alpha < LEAST or 0 < beta < LEAST:
            raise BadInput(f"ABKD: alpha {alpha:g} and beta {beta:g} must be 0, or {LEAST} and more, and not both 0")
        self.alpha, self.beta, self.temperature = alpha, beta, temperature

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        log_q, log_p = (F.log_softmax(logits / self.temperature, dim=1) for logits in (student, teacher))
        if self.beta == 0:
            return _limit(log_p, log_q, self.alpha)
        if self.alpha == 0:
            return _limit(log_q, log_p, self.beta)
        both = self.alpha + self.beta
        ours = self.alpha * (both * log_p).exp() + self.beta * (both * log_q).exp()
        parts = ours - both * (self.alpha * log_p + self.beta * log_q).exp()
        return parts.sum(dim=1).mean() / (self.alpha * self.beta * both)


def _limit(log_p: Tensor, log_q: Tensor, power: float) -> Tensor:
    """What L is with the power of q at 0."""
    a, b = (power * log_p).exp(), (power * log_q).exp()
    return (a * power * (log_p - log_q) - a + b).sum(dim=1).mean() / power**2
