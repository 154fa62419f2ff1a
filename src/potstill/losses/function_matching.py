"""Function matching: a patient and consistent teacher."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from potstill.checked import checked
from potstill.errors import BadInput
from potstill.losses.kd import divergences
from potstill.losses.labels import shares
from potstill.losses.loss import Loss
from potstill.ranges import Count, Fraction, Temperature

GUARD = 1e-12  # under a square root, as in the authors' code


class FunctionMatching(Loss):
    """Two functions are to be one: the student sees what the teacher sees, for very long, and no label at all.

        L = mean over the batch of d(z_s, z_t)
        d = T^2 * KL(softmax(z_t / T) || softmax(z_s / T))                       distance="kl"
        d = the length of z_s - z_t, or its square                               distance="euclidean", "l2"
        d = the length of log softmax(z_s) - log softmax(z_t)                    distance="logsoftmax_euclidean"
        d = KL to the teacher's favourite class, smoothed                        distance="hard"

    Beyer, Zhai, Royer, Markeeva, Anil and Kolesnikov, "Knowledge distillation: a good teacher is patient and
    consistent", CVPR 2022: https://arxiv.org/abs/2106.05237. The distances are those of big_vision. "kl" is
    `KD`, but for a clip there at 1e-8 that moves no digit. What makes the method is the training: the same crop and the
    same mixup for both, and hundreds of epochs.

    Knowledge: responses.

    Usual weight: 1, alone.

    Args:
        distance: d.
        temperature: T, for "kl".
        smoothing: the part of "hard" labels that goes to the other classes.

    Shapes: student and teacher logits (N, K).

    Raises:
        BadInput: a temperature that is not for "kl", or smoothing that is not for "hard".

    >>> import torch
    >>> from potstill.losses import FunctionMatching
    >>> student, teacher = torch.zeros(8, 9), torch.ones(8, 9)
    >>> FunctionMatching()(student, teacher), FunctionMatching("euclidean")(student, teacher)
    (tensor(0.), tensor(3.))
    """

    @checked
    def __init__(
        self,
        distance: Literal["kl", "euclidean", "l2", "logsoftmax_euclidean", "hard"] = "kl",
        temperature: Temperature = 1.0,
        smoothing: Fraction = 0.0,
    ) -> None:
        super().__init__()
        if (temperature != 1 and distance != "kl") or (smoothing and distance != "hard"):
            raise BadInput("FunctionMatching: temperature is of distance 'kl', smoothing of 'hard'")
        self.distance, self.temperature, self.smoothing = distance, temperature, smoothing

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        return DISTANCES[self.distance](self, student, teacher).mean()


def _kl(loss: FunctionMatching, student: Tensor, teacher: Tensor) -> Tensor:
    return divergences(student, teacher, loss.temperature) * loss.temperature**2


def _l2(loss: FunctionMatching, student: Tensor, teacher: Tensor) -> Tensor:
    return (student - teacher).square().sum(dim=1)


def _euclidean(loss: FunctionMatching, student: Tensor, teacher: Tensor) -> Tensor:
    return (_l2(loss, student, teacher) + GUARD).sqrt()


def _logsoftmax_euclidean(loss: FunctionMatching, student: Tensor, teacher: Tensor) -> Tensor:
    return _euclidean(loss, F.log_softmax(student, dim=1), F.log_softmax(teacher, dim=1))


def _hard(loss: FunctionMatching, student: Tensor, teacher: Tensor) -> Tensor:
    classes = student.shape[1]
    other = loss.smoothing / max(classes - 1, 1)
    p = other + (1 - loss.smoothing - other) * shares(teacher.argmax(dim=1), student)
    return (torch.xlogy(p, p) - p * F.log_softmax(student, dim=1)).sum(dim=1)


DISTANCES = {
    "kl": _kl,
    "l2": _l2,
    "euclidean": _euclidean,
    "logsoftmax_euclidean": _logsoftmax_euclidean,
    "hard": _hard,
}


@checked
def agreement(student: Tensor, teacher: Tensor, k: Count = 1) -> Tensor:
    """Whether the teacher's favourite class is among the student's ``k`` largest logits: 1 or 0 of each sample (N,)."""
    best = student.topk(min(k, student.shape[1]), dim=1).indices
    return (best == teacher.argmax(dim=1, keepdim=True)).any(dim=1).long()
