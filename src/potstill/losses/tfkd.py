"""Knowledge distillation without a teacher."""

from typing import Annotated, Literal

import torch.nn.functional as F
from torch import Tensor

from potstill.checked import checked
from potstill.losses.labels import shares
from potstill.losses.loss import Loss
from potstill.ranges import Range, Temperature


class TfKD(Loss):
    """A teacher made by hand, which is nearly always right and finds all wrong classes alike, softened.

        L = KL(softmax(p / T) || softmax(z)),    p = correct for the label, (1 - correct) / (K - 1) for each other class

    Yuan, Tay, Li, Wang and Feng, "Revisiting knowledge distillation via label smoothing regularization", CVPR 2020,
    section 4: https://arxiv.org/abs/1909.11723. As in the authors' code, T divides probabilities, not logits: at 20
    the label is hardly more probable than the rest, and this is label smoothing. The student is not softened, and there
    is no T^2. Labels of several classes give p their mixture. The paper's other method, a student that is its own
    teacher, is training the same network twice: `KD` from the first.

    Knowledge: labels.

    Usual weight: 0.1, beside 0.9 of cross-entropy; the authors write it as 0.1 * 100, of the mean over 100 classes.

    Args:
        temperature: T.
        correct: the probability of the label.
        reduction: "batchmean", the sum over classes, or "elementmean", the mean over batch and classes of their code:
            weaker by the number of classes.

    Shapes: student logits (N, K); labels: class indices (N,), or probabilities (N, K).

    >>> import torch
    >>> from potstill.losses import TfKD
    >>> labels = torch.arange(8)
    >>> TfKD()(torch.zeros(8, 10), labels) < 1e-3, TfKD(temperature=0.1)(torch.zeros(8, 10), labels) > 1
    (tensor(True), tensor(True))
    """

    taps = ("student", "labels")

    @checked
    def __init__(
        self,
        temperature: Temperature = 20.0,
        correct: Annotated[float, Range(0, 1)] = 0.99,
        reduction: Literal["batchmean", "elementmean"] = "batchmean",
    ) -> None:
        super().__init__()
        self.temperature = temperature
        self.correct = correct
        self.reduction = reduction

    def forward(self, student: Tensor, labels: Tensor) -> Tensor:
        classes = student.shape[1]
        other = (1 - self.correct) / max(classes - 1, 1)
        teacher = F.log_softmax((other + (self.correct - other) * shares(labels, student)) / self.temperature, dim=1)
        value = F.kl_div(F.log_softmax(student, dim=1), teacher, reduction="batchmean", log_target=True)
        return value / classes if self.reduction == "elementmean" else value
