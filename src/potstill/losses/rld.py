"""Refined logit distillation."""

import torch.nn.functional as F
from torch import Tensor

from potstill.checked import checked
from potstill.errors import BadInput
from potstill.losses.dkd import decouple
from potstill.losses.kd import divergences, z_scores
from potstill.losses.labels import class_indices
from potstill.losses.loss import Loss
from potstill.ranges import NotNegative, Temperature

ONE_LABEL = "RLD corrects the teacher at one label an image; with mixup, use KD"
LEFT_OUT = -1e9  # a logit of probability 0, of which any number can still be subtracted


class RLD(Loss):
    """The teacher's mistakes are taken out: its sureness goes to the right class, what it puts above that is ignored.

        L = alpha * U^2 * KL(b_t || b_s) + beta * T^2 * KL(q_t || q_s), mean over the batch
        b_s = (p, 1 - p) for the label by the student, b_t for its own favourite by the teacher, both at temperature U
        q = softmax(z / T) over the classes that the teacher puts below the label

    Sun, Chen, Lyu, Chen, Chen and Wang, "Knowledge distillation with refined logits", 2024:
    https://arxiv.org/abs/2408.07703. The label and classes that equal it are left out of q too. Where the teacher puts
    the label last nothing is left, and the second part is 0. Everything is computed from log-probabilities; the
    authors' code takes the logarithm of probabilities that may be 0, and is infinite then.

    Knowledge: responses.

    Usual weight: warmup(1, 20), beside 1 of cross-entropy.

    Args:
        alpha: weight of the first part.
        beta: weight of the second.
        temperature: T.
        own_temperature: U. The authors' code has 1, their command line T; which one their table has is not said.
        standardize: z-scores of the logits first, as in `KD`; Sun et al., "Logit standardization", CVPR 2024.

    Shapes: student and teacher logits (N, K); labels: class indices (N,) only.

    Raises:
        BadInput: student and teacher have different classes, or labels are not class indices.

    >>> import torch
    >>> from potstill.losses import KD, RLD
    >>> teacher = torch.tensor([[2.0, 5.0, 1.0, 0.0]])  # wrong: the label is class 0
    >>> student = torch.tensor([[5.0, 2.0, 1.0, 0.0]])  # right, and as sure
    >>> bool(RLD()(student, teacher, torch.tensor([0])) < 1e-5), bool(KD()(student, teacher) > 1)
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
        own_temperature: Temperature = 1.0,
        standardize: bool = False,
    ) -> None:
        super().__init__()
        if not (alpha or beta):
            raise BadInput("RLD: both weights are 0")
        self.alpha, self.beta = alpha, beta
        self.temperature, self.own_temperature = temperature, own_temperature
        self.standardize = standardize

    def forward(self, student: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
        if student.shape != teacher.shape:
            raise BadInput(f"RLD: logits {tuple(student.shape)} and {tuple(teacher.shape)} differ in shape")
        labels = class_indices(labels, student, ONE_LABEL)
        if self.standardize:
            student, teacher = z_scores(student), z_scores(teacher)
        (sure_s, _), (sure_t, _) = (
            decouple(logits / self.own_temperature, classes)
            for logits, classes in ((student, labels), (teacher, teacher.argmax(dim=1)))
        )
        own = F.kl_div(sure_s, sure_t, reduction="batchmean", log_target=True) * self.own_temperature**2
        wrong = teacher >= teacher.gather(1, labels[:, None])
        s, t = ((logits / self.temperature).masked_fill(wrong, LEFT_OUT) for logits in (student, teacher))
        return self.alpha * own + self.beta * self.temperature**2 * divergences(s, t, 1).mean()
