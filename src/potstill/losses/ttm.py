"""Transformed teacher matching."""

import torch.nn.functional as F
from torch import Tensor

from potstill.checked import checked
from potstill.losses.loss import Loss
from potstill.ranges import Share


class TTM(Loss):
    """KD whose temperature softens the teacher alone: what is left of it in the student's part was a penalty missing.

        L = mean over the batch of KL(q || softmax(z_s)),    q_c = p_c^gamma / sum of p^gamma,    p = softmax(z_t)

    Zheng and Yang, "Knowledge distillation based on transformed teacher matching", ICLR 2024:
    https://arxiv.org/abs/2402.11148. q is the teacher at T = 1 / gamma. There is no T^2. The power is taken of
    logarithms: in the authors' code, a probability that is 0 in float32 stays 0, where it should be as large as others.

    Knowledge: responses.

    Usual weight: 45 for gamma=0.1, and of the weighted one, 4 for gamma=0.2; beside 1 of cross-entropy.

    Args:
        gamma: the power; the smaller, the softer.
        weighted: each sample counts with its sum of p^gamma, which is larger where the teacher is less sure: WTTM. It
            grows with the classes, to 58 for a hundred.

    Shapes: student and teacher logits (N, K).

    >>> import torch
    >>> from potstill.losses import TTM
    >>> teacher = torch.randn(8, 10)
    >>> TTM(gamma=0.5)(teacher / 2, teacher) < 1e-6, TTM(gamma=0.5)(teacher, teacher) > 0.01
    (tensor(True), tensor(True))
    """

    @checked
    def __init__(self, gamma: Share = 0.1, weighted: bool = False) -> None:
        super().__init__()
        self.gamma = gamma
        self.weighted = weighted

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        powers = self.gamma * F.log_softmax(teacher, dim=1)
        log_q = F.log_softmax(powers, dim=1)
        apart = F.kl_div(F.log_softmax(student, dim=1), log_q, reduction="none", log_target=True).sum(dim=1)
        return (apart * powers.logsumexp(dim=1).exp()).mean() if self.weighted else apart.mean()
