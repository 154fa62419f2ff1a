"""Universal self-knowledge distillation."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from potstill.checked import checked
from potstill.errors import BadInput
from potstill.losses.labels import is_soft, shares
from potstill.losses.loss import Loss
from potstill.ranges import Fraction, NotNegative

LEFT_OUT = -1e9  # a logit of probability 0, of which any number can still be subtracted


class USKD(Loss):
    """Without a teacher: the student makes its own soft labels, from how it and a weaker head of its rank the classes.

        L = -mean over the batch of (alpha * p_y log s_y + beta * sum over c != y of z_c log q_c + mu * sum of l log w)
        p_y = 1 + s_y^2 - mean of s_y^2,    s = softmax of the logits,    q = the same over the classes other than y
        w = softmax of a learned linear layer on pooled features,    l = the smoothed label
        z_c = 1 / the rank of class c by w_c / (1 - w_y) + log s_c / (1 - log s_y),    divided by the sum over c != y

    Yang et al., "From knowledge distillation to self-knowledge distillation: a unified approach with normalized loss
    and customized soft labels", ICCV 2023: https://arxiv.org/abs/2303.13005. p and z get no gradient. p
    depends on the batch, and may leave 0..1. The ranks by log s are those of the authors' code, where a variable of
    that name was overwritten; ranks="probabilities" has s in its place. 1e-6 is added to both divisors. A label of
    several classes, as mixup makes it, stands for its two likeliest: each has its part p, which begins with its share
    in the place of 1, and both are left out of the wrong classes, if their share is not 0.

    Knowledge: responses. Trained parts: the linear layer.

    Usual weight: 1, beside 1 of cross-entropy.

    Args:
        alpha: weight of the label's part; for ImageNet the authors have 1, for CIFAR-100 0.1.
        beta: weight of the other classes.
        mu: weight of the weaker head; for ImageNet the authors have 0.005, for CIFAR-100 0.1.
        smoothing: the part of the weaker head's label that is spread over all classes.
        ranks: by which of the student's answers the classes are ranked.

    Shapes: student: a pair of features (N, D), or a map (N, D, H, W) that is averaged over positions, and logits
    (N, K); labels: class indices (N,), or probabilities (N, K). `build` needs the pair.

    >>> import torch
    >>> from potstill.losses import USKD
    >>> loss, student, labels = USKD(), (torch.randn(8, 32), torch.randn(8, 10)), torch.arange(8)
    >>> loss.build(student, labels)
    >>> loss.weak
    Linear(in_features=32, out_features=10, bias=True)
    >>> loss(student, labels).shape
    torch.Size([])
    """

    taps = (("student.stage2", "student"), "labels")
    whole_batch = True

    @checked
    def __init__(
        self,
        alpha: NotNegative = 1.0,
        beta: NotNegative = 0.1,
        mu: NotNegative = 0.005,
        smoothing: Fraction = 0.1,
        ranks: Literal["logarithms", "probabilities"] = "logarithms",
    ) -> None:
        super().__init__()
        if not (alpha or beta or mu):
            raise BadInput("USKD: all weights are 0")
        self.alpha, self.beta, self.mu, self.smoothing, self.ranks = alpha, beta, mu, smoothing, ranks
        self.weak: nn.Module = nn.Identity()

    def build(self, student: tuple[Tensor, Tensor], labels: Tensor) -> None:
        """Make the weaker head."""
        features, logits = student
        self.weak = nn.Linear(features.shape[1], logits.shape[1]).to(logits)

    def forward(self, student: tuple[Tensor, Tensor], labels: Tensor) -> Tensor:
        features, logits = student
        log_w = F.log_softmax(self.weak(features.flatten(2).mean(dim=2) if features.ndim > 2 else features), dim=1)
        label = shares(labels, logits)
        values, columns = label.topk(min(2, logits.shape[1]) if is_soft(labels, logits) else 1, dim=1)
        log_s = F.log_softmax(logits, dim=1)
        own = log_s.gather(1, columns)
        squares = own.exp().square()
        target = (values + squares - squares.mean(dim=0)).masked_fill(values == 0, 0).detach()
        known = torch.zeros_like(logits).scatter(1, columns, (values > 0).to(logits)) > 0
        others = F.log_softmax(logits.masked_fill(known, LEFT_OUT), dim=1)
        smoothed = (1 - self.smoothing) * label + self.smoothing / logits.shape[1]
        parts = self.alpha * (target * own).sum(dim=1)
        parts = parts + self.beta * (self._zipf(log_w, log_s, known) * others).sum(dim=1)
        return -(parts + self.mu * (smoothed * log_w).sum(dim=1)).mean()

    @torch.no_grad()
    def _zipf(self, log_w: Tensor, log_s: Tensor, known: Tensor) -> Tensor:
        """The soft label of the classes that are not ``known`` to be right (N, K)."""
        answers = log_w.exp(), log_s if self.ranks == "logarithms" else log_s.exp()
        scores = sum(a / (1 - (a * known).sum(dim=1, keepdim=True) + 1e-6) for a in answers)
        ranks = scores.argsort(dim=1, descending=True, stable=True).argsort(dim=1)  # type: ignore[union-attr]
        zipf = (1 / (1 + ranks.to(log_s))).masked_fill(known, 0)
        return zipf / zipf.sum(dim=1, keepdim=True).clamp(min=1e-12)
