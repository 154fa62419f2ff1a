"""Knowledge distillation of each class by itself, for images that are of several classes."""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from potstill.checked import checked
from potstill.losses.loss import Loss
from potstill.ranges import Temperature


class SigmoidKD(Loss):
    """The student imitates how probable the teacher finds each class by itself: probabilities need not sum to 1.

        L = T^2 * KL([p_t, 1 - p_t] || [p_s, 1 - p_s]), mean over batch and classes,    p = sigmoid(z / T)

    Yang, Xie, Zong, Feng, Niu, Sugiyama and Huang, "Multi-label knowledge distillation", ICCV 2023:
    https://arxiv.org/abs/2308.06453. This is its part on logits (MLD), in which every label is a task of two classes;
    that on embeddings of labels is not here. A temperature is not in it, and 1, the default, is none; "batchmean" is
    the sum over the classes.

    Knowledge: responses.

    Args:
        temperature: T; larger is softer.
        reduction: "mean", as above, on one scale with `BCE`; or "batchmean", summed over classes, mean over the batch.

    Shapes: student and teacher logits (N, K).

    >>> import torch
    >>> from potstill.losses import SigmoidKD
    >>> student, teacher = torch.zeros(2, 4), torch.full((2, 4), 100.0)  # the teacher sees every class
    >>> SigmoidKD()(student, teacher), SigmoidKD(reduction="batchmean")(student, teacher)  # log 2, four times that
    (tensor(0.6931), tensor(2.7726))
    """

    @checked
    def __init__(self, temperature: Temperature = 1.0, reduction: Literal["mean", "batchmean"] = "mean") -> None:
        super().__init__()
        self.temperature = temperature
        self.reduction = reduction

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        student, teacher = student / self.temperature, teacher / self.temperature
        yes = F.kl_div(F.logsigmoid(student), F.logsigmoid(teacher), reduction="none", log_target=True)
        no = F.kl_div(F.logsigmoid(-student), F.logsigmoid(-teacher), reduction="none", log_target=True)
        mean = (yes + no).mean() if self.reduction == "mean" else (yes + no).sum(dim=1).mean()
        return mean * self.temperature**2
