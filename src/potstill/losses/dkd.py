"""Decoupled knowledge distillation."""

import torch
import torch.nn.functional as F
from torch import Tensor

from potstill.checked import checked
from potstill.errors import BadInput
from potstill.losses.kd import z_scores
from potstill.losses.labels import class_indices
from potstill.losses.loss import Loss
from potstill.ranges import NotNegative, Temperature

ONE_LABEL = "DKD splits the classes at one label an image; with mixup, use KD"


class DKD(Loss):
    """KD in two parts of separate weights: how sure the right class is, and how the wrong ones compare.

        L = T^2 * (alpha * KL(b_t || b_s) + beta * KL(q_t || q_s)), mean over the batch
        b = (p_label, 1 - p_label),    q = softmax over the other classes,    p = softmax(z / T)

    Zhao, Cui, Song, Qiu and Liang, "Decoupled knowledge distillation", CVPR 2022, eq. 7:
    https://arxiv.org/abs/2203.08679. Everything here is computed from log-probabilities, with the label masked out. The
    authors' code takes the logarithm of probabilities that may be 0, and moves the label's logit by -1000: infinite
    or wrong for logits that are far apart. With two classes the second part is 0.

    Soft labels are refused. A mixture of two images has two right classes: with one masked out, the other still
    outweighs the wrong ones, which the second part is there to prevent. For an image of one class whose label was
    smoothed, address the class instead: another entry of the batch.

    Knowledge: responses.

    Usual weight: warmup(1, 20), beside 1 of cross-entropy.

    Args:
        alpha: weight of the label against the rest.
        beta: weight of the rest; 8 for most pairs of networks, 2 or 6 for some.
        temperature: T.
        standardize: z-scores of the logits first, as in `KD`; Sun et al., "Logit standardization", CVPR 2024.

    Shapes: student and teacher logits (N, K); labels: class indices (N,) only.

    Raises:
        BadInput: student and teacher have different classes, or labels are not class indices.

    >>> import torch
    >>> from potstill.losses import DKD
    >>> teacher = torch.tensor([[6.0, 3.0, 1.0, 0.0]])
    >>> student = torch.tensor([[6.0, 0.0, 1.0, 3.0]])  # as sure of class 0, but sees other likenesses
    >>> labels = torch.tensor([0])
    >>> DKD(beta=0)(student, teacher, labels).item() < 1e-5, DKD(alpha=0)(student, teacher, labels).item() > 1
    (True, True)
    """

    taps = ("student", "teacher", "labels")

    hard_labels = True

    @checked
    def __init__(
        self,
        alpha: NotNegative = 1.0,
        beta: NotNegative = 8.0,
        temperature: Temperature = 4.0,
        standardize: bool = False,
    ) -> None:
        super().__init__()
        if not (alpha or beta):
            raise BadInput("DKD: both weights are 0")
        self.alpha = alpha
        self.beta = beta
        self.temperature = temperature
        self.standardize = standardize

    def forward(self, student: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
        return self.at(self.temperature, student, teacher, labels)

    def at(self, temperature: float | Tensor, student: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
        """The loss at another temperature, which may be learned."""
        if student.shape != teacher.shape:
            raise BadInput(f"DKD: logits {tuple(student.shape)} and {tuple(teacher.shape)} differ in shape")
        labels = class_indices(labels, student, ONE_LABEL)
        if self.standardize:
            student, teacher = z_scores(student), z_scores(teacher)
        (own, rest), (teacher_own, teacher_rest) = (decouple(z / temperature, labels) for z in (student, teacher))
        target = F.kl_div(own, teacher_own, reduction="batchmean", log_target=True)
        others = F.kl_div(rest, teacher_rest, reduction="batchmean", log_target=True)
        return (self.alpha * target + self.beta * others) * temperature**2


def decouple(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Log-probabilities of label and rest, (N, 2), and of the others among themselves, (N, K), 0 at the label."""
    is_label = torch.zeros_like(logits, dtype=torch.bool).scatter(1, labels[:, None], True)
    log_p = F.log_softmax(logits, dim=1)
    log_rest = log_p.masked_fill(is_label, -torch.inf).logsumexp(dim=1, keepdim=True)
    others = F.log_softmax(logits.masked_fill(is_label, -torch.inf), dim=1)
    # At the label any finite value does, if it is the same for student and teacher; -inf minus -inf is nan.
    return torch.cat([log_p.gather(1, labels[:, None]), log_rest], dim=1), others.masked_fill(is_label, 0)
