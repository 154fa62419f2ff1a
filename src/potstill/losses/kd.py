"""Knowledge distillation by softened class probabilities."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from potstill.checked import checked
from potstill.errors import BadInput
from potstill.losses.labels import is_soft
from potstill.losses.loss import Loss
from potstill.ranges import Temperature


class KD(Loss):
    """The student imitates the teacher's softened probabilities, which tell how it errs as well as what it sees.

        L = T^2 * KL(softmax(z_t / T) || softmax(z_s / T)), summed over classes, mean over the batch

    Hinton, Vinyals and Dean, "Distilling the knowledge in a neural network", 2015, section 2:
    https://arxiv.org/abs/1503.02531. T^2 keeps the gradient's size independent of T.

    Guided by soft labels, a sample counts with the probability that its label gives to the teacher's favourite class.
    That is the average over classes drawn from the label, as in cross-entropy; the label's most probable class alone
    would be all or nothing between two nearly equal halves. The sum of what counts is the divisor, or 1 if it is less.

    Knowledge: responses.

    Usual weight: 0.9, beside 0.1 of cross-entropy.

    Args:
        temperature: T; larger is softer.
        reduction: "batchmean", as above, or "elementmean", the mean over batch and classes of Moonshine, Rocket
            Launching and old attention-transfer: weaker by the number of classes. Their weight beside it is 2 alpha.
        guided: only the samples on which the teacher is right count, and the mean is over those; 0 if there are none.
            Zhou et al., "Channel distillation", 2020, section 3.3: https://arxiv.org/abs/2006.01683. The original gives
            nan for none, and a wrong value where a teacher's probability underflows.
        standardize: logits become z-scores over the classes first, so that the student need not match the teacher's
            scale. Sun et al., "Logit standardization", CVPR 2024, eq. 10: https://arxiv.org/abs/2403.01427. As there,
            the deviation is unbiased and 1e-7 is added to it.
        hard: the teacher's favourite class is a label, and L the cross-entropy with it; no temperature is taken. Beside
            a cross-entropy with the labels, each has half the weight. Touvron et al., "Training data-efficient image
            transformers", ICML 2021, eq. 3: https://arxiv.org/abs/2012.12877.

    Shapes: student and teacher logits (N, K); if guided, labels: class indices (N,), or probabilities (N, K).

    Raises:
        BadInput: guided without labels, or the labels do not fit the logits; hard together with what changes soft ones.

    >>> import torch
    >>> from potstill.losses import KD
    >>> student, teacher = torch.zeros(8, 10), 100 * torch.eye(10)[:8]
    >>> KD(temperature=1)(student, teacher)  # log 10: the teacher is sure, the student has no idea
    tensor(2.3026)
    >>> student[4:] = teacher[4:]
    >>> labels = torch.tensor([0, 1, 2, 3, 9, 9, 9, 9])  # the teacher is wrong about the last four
    >>> KD(temperature=1)(student, teacher), KD(temperature=1, guided=True)(student, teacher, labels)
    (tensor(1.1513), tensor(2.3026))
    """

    @checked
    def __init__(
        self,
        temperature: Temperature = 4.0,
        reduction: Literal["batchmean", "elementmean"] = "batchmean",
        guided: bool = False,
        standardize: bool = False,
        hard: bool = False,
    ) -> None:
        super().__init__()
        if hard and (standardize or guided or reduction != "batchmean"):
            raise BadInput("KD(hard=True) is a cross-entropy: standardize, guided and elementmean are for soft labels")
        self.hard = hard
        self.temperature = temperature
        self.reduction = reduction
        self.standardize = standardize
        self.guided = guided
        self.whole_batch = guided  # the divisor is the batch's
        self.taps = ("student", "teacher", "labels") if guided else ("student", "teacher")

    def forward(self, student: Tensor, teacher: Tensor, labels: Tensor | None = None) -> Tensor:
        if self.hard:
            return F.cross_entropy(student, teacher.argmax(dim=1))
        return self.at(self.temperature, student, teacher, labels)

    def at(self, temperature: float | Tensor, student: Tensor, teacher: Tensor, labels: Tensor | None = None) -> Tensor:
        """The loss at another temperature, which may be learned."""
        if self.standardize:
            student, teacher = z_scores(student), z_scores(teacher)
        apart = divergences(student, teacher, temperature)
        if self.guided:
            right = _right(teacher, labels)
            mean = (apart * right).sum() / right.sum().clamp(min=1)
        else:
            mean = apart.mean()
        return mean * temperature**2 / (student.shape[1] if self.reduction == "elementmean" else 1)


def _right(teacher: Tensor, labels: Tensor | None) -> Tensor:
    """Whether the teacher's favourite class is the label (N,), or its probability if labels are soft."""
    if labels is None:
        raise BadInput("KD(guided=True) needs the labels as its third input")
    if is_soft(labels, teacher):
        return labels.gather(1, teacher.argmax(dim=1, keepdim=True)).squeeze(1).to(teacher)
    return teacher.argmax(dim=1) == labels


def divergences(student: Tensor, teacher: Tensor, temperature: float | Tensor) -> Tensor:
    """KL(softmax(teacher / T) || softmax(student / T)) over dimension 1, which is left out: logits (N, K) give (N,)."""
    log_student = F.log_softmax(student / temperature, dim=1)
    log_teacher = F.log_softmax(teacher / temperature, dim=1)
    return F.kl_div(log_student, log_teacher, reduction="none", log_target=True).sum(dim=1)


def z_scores(logits: Tensor) -> Tensor:
    """Logits (N, K) less their mean over the classes, divided by their unbiased deviation + 1e-7."""
    deviation, mean = torch.std_mean(logits, dim=1, keepdim=True)
    return (logits - mean) / (deviation + 1e-7)
