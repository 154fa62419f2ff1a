"""Channel-wise distillation."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from potstill.checked import checked
from potstill.errors import BadInput
from potstill.losses.connector import make_align
from potstill.losses.loss import Loss
from potstill.losses.sizes import pool_to_smaller
from potstill.ranges import Temperature


class CWD(Loss):
    """Each channel of the student is strongest where the teacher's is: a channel's softmax over positions is matched.

        p(a) = softmax over positions of a / T;    L = T^2 * KL(p(t) || p(s)), mean over batch and channels

    Shu, Liu, Gao, Yan and Shen, "Channel-wise knowledge distillation for dense prediction", ICCV 2021:
    https://arxiv.org/abs/2011.13256. The authors take the map of logits as well, with weight 3. Their code has more of
    the same kind, which are arguments here. Its softmax underflows where a position is far below the strongest one, and
    the loss is infinite then; here the logarithm is computed at once.

    Knowledge: features. Trained parts: a 1x1 convolution, if the channels differ.

    Usual weight: 3, at a temperature of 4, beside 1 of cross-entropy.

    Args:
        temperature: T.
        over: the softmax is one over "positions", a channel at a time, or over "channels", a position at a time.
            "nothing": there is none, and the means of channels over positions are compared.
        divergence: "kl", as above, or "mse": the squared differences of the probabilities, summed, without T.

    Shapes: student (N, C, H, W), teacher (N, C', H', W'); `build` needs a pair of them. Of two sizes, the larger map is
    average-pooled to the smaller first, where the originals need equal ones.

    Raises:
        BadInput: over "nothing" there are no probabilities for a KL divergence.

    >>> import torch
    >>> from potstill.losses import CWD
    >>> student = torch.randn(8, 32, 4, 4)
    >>> CWD()(student, student + 7) < 1e-5  # the same places stand out
    tensor(True)
    >>> CWD(over="nothing", divergence="mse")(torch.zeros(8, 32, 4, 4), torch.full((8, 32, 4, 4), 7.0))
    tensor(49.)
    """

    taps = ("student.stage3", "teacher.stage3")

    @checked
    def __init__(
        self,
        temperature: Temperature = 4.0,
        over: Literal["positions", "channels", "nothing"] = "positions",
        divergence: Literal["kl", "mse"] = "kl",
    ) -> None:
        super().__init__()
        if over == "nothing" and divergence == "kl":
            raise BadInput("CWD(over='nothing') compares means, of which there is no KL divergence; divergence='mse'")
        self.temperature, self.over, self.divergence = temperature, over, divergence
        self.align: nn.Module = nn.Identity()

    def build(self, student: Tensor, teacher: Tensor) -> None:
        """Make the convolution, if need be, for maps of these shapes."""
        self.align = make_align(student.shape[1], teacher.shape[1]).to(student)

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        student, teacher = (maps.flatten(2) for maps in pool_to_smaller(self.align(student), teacher))
        if self.over == "nothing":
            return F.mse_loss(student.mean(dim=2), teacher.mean(dim=2))
        axis = 2 if self.over == "positions" else 1
        if self.divergence == "mse":
            squares = (torch.softmax(student, dim=axis) - torch.softmax(teacher, dim=axis)).square()
            return squares.sum(dim=axis).mean()
        log_student, log_teacher = (F.log_softmax(x / self.temperature, dim=axis) for x in (student, teacher))
        divergences = F.kl_div(log_student, log_teacher, reduction="none", log_target=True).sum(dim=axis)
        return divergences.mean() * self.temperature**2
