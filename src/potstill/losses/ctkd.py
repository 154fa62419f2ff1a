"""Curriculum temperature."""

import math
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from potstill.checked import checked
from potstill.errors import BadInput
from potstill.losses.dkd import DKD
from potstill.losses.kd import KD
from potstill.losses.loss import Loss
from potstill.ranges import Fraction, NotNegative, Range, Temperature


class CTKD(Loss):
    """The temperature is learned against the student: ever more, it takes what is hardest to imitate.

        L = T^2 * KL(softmax(z_t / T) || softmax(z_s / T)),    T = temperature + span * sigmoid(raw)
        gradient of raw: multiplied by -strength * (1 - cos(pi * min(e / epochs, 1))) / 2 in epoch e = 1, 2, ...

    Li et al., "Curriculum temperature for knowledge distillation", AAAI 2023:
    https://arxiv.org/abs/2211.16231. raw is one number, 1 at the start, for which T is 15.6. Because of T^2, what is
    hardest need not be hottest. The optimiser treats raw as it does the student's weights, decay included, as there.
    Everything is computed from log-probabilities: the authors' code gives the temperature a gradient of nan, for good,
    as soon as one probability of the teacher is 0, and always with DKD in a current torch.

    Knowledge: responses. Trained parts: the temperature.

    Usual weight: 0.9, beside 0.1 of cross-entropy.

    Args:
        temperature: the lowest.
        span: how far the highest is from it.
        strength: of the reversed gradient, once it has grown up; 0 leaves the temperature where it is.
        epochs: in which the strength grows; 5 for ImageNet. With 0 it is full at once, and no epoch is taken.
        curriculum: how it grows. "linear" is e / epochs, and stops a step short of full strength, as in the code.
        decoupled: DKD in the place of KD; labels are taken too.
        alpha: of DKD.
        beta: of DKD.
        standardize: z-scores of the logits first, as in `KD`; Sun et al., "Logit standardization", CVPR 2024.

    Shapes: student and teacher logits (N, K); epoch (), counted from 0, if the strength grows; labels: class indices
    (N,), if decoupled. `build` makes the temperature.

    Raises:
        BadInput: decoupled, with labels that are no class indices.

    >>> import torch
    >>> from potstill.losses import CTKD
    >>> student, teacher, epoch = torch.randn(8, 10), torch.randn(8, 10), torch.tensor(0.0)
    >>> loss = CTKD()
    >>> loss.build(student, teacher, epoch)
    >>> loss.learned_temperature(epoch)
    tensor(15.6212, grad_fn=<AddBackward0>)
    """

    @checked
    def __init__(
        self,
        temperature: Temperature = 1.0,
        span: Temperature = 20.0,
        strength: Fraction = 1.0,
        epochs: Annotated[int, Range(0, 10**6)] = 10,
        curriculum: Literal["cosine", "linear"] = "cosine",
        decoupled: bool = False,
        alpha: NotNegative = 1.0,
        beta: NotNegative = 8.0,
        standardize: bool = False,
    ) -> None:
        super().__init__()
        if decoupled and not (alpha or beta):
            raise BadInput("CTKD: both weights of DKD are 0")
        self.temperature, self.span = temperature, span
        self.strength, self.epochs, self.curriculum = strength, epochs, curriculum
        self.hard_labels = decoupled
        self.base: KD | DKD = KD(standardize=standardize)
        if decoupled:
            self.base = DKD(alpha, beta, standardize=standardize)
        self.taps = ("student", "teacher", *(["epoch"] if epochs else []), *(["labels"] if decoupled else []))

    def build(self, student: Tensor, *rest: Tensor) -> None:
        """Make the temperature."""
        self.raw_temperature = nn.Parameter(student.new_ones(1))

    def forward(self, student: Tensor, teacher: Tensor, *rest: Tensor) -> Tensor:
        temperature = self.learned_temperature(rest[0] if self.epochs else None)
        return self.base.at(temperature, student, teacher, *rest[1 if self.epochs else 0 :])

    def learned_temperature(self, epoch: Tensor | None = None) -> Tensor:
        """T, a scalar whose gradient is reversed."""
        raw = self.raw_temperature.squeeze(0)
        still = raw.detach()
        # The value of raw to the bit, and its gradient times a factor below 0.
        reversed_raw = still - self.reversal(epoch) * (raw - still)
        return self.temperature + self.span * reversed_raw.sigmoid()

    def reversal(self, epoch: Tensor | None = None) -> float | Tensor:
        """What the gradient is multiplied by, without its sign, in an epoch counted from 0."""
        if epoch is None:
            return self.strength
        if self.curriculum == "linear":
            return self.strength * (epoch + 1).clamp(max=self.epochs - 1) / self.epochs
        return self.strength * (1 - ((epoch + 1).clamp(max=self.epochs) * math.pi / self.epochs).cos()) / 2


def at_temperatures(student: Tensor, teacher: Tensor, temperatures: Tensor) -> Tensor:
    """KD at a temperature for each sample (N,), which may be learned: the instance-wise variant of the authors' README.

    1e-7 is added to the teacher's probabilities, as there. What predicts the temperatures is not published.
    """
    each = temperatures[:, None]
    q = (teacher / each).softmax(dim=1) + 1e-7
    apart = q * (q.log() - F.log_softmax(student / each, dim=1))
    return (apart.sum(dim=1) * torch.square(temperatures)).mean()
