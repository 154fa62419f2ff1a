"""One for all: distillation between any two architectures."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import torch.nn.functional as F
from torch import Tensor, nn

from potstill.checked import checked
from potstill.errors import BadInput
from potstill.losses.labels import likeliest, shares
from potstill.losses.loss import Loss
from potstill.losses.ofa_head import make_head
from potstill.ranges import Range, Temperature, Width

Power = Annotated[float, Range(0.1, 8)]
Halvings = Annotated[int, Range(0, 8)]


class OFA(Loss):
    """Maps inside the student are asked for logits, which imitate the teacher's: any teacher has those.

        L = sum over maps of the mean over the batch of -sum over classes of ((p_t + y)^eps - y) log p_s
        p = softmax(z / T),    y = the label, one-hot,    z_s = what a learned head says to a map

    Hao, Guo, Han, Tang, Hu, Wang and Xu, "One-for-all: bridge the gap between heterogeneous architectures in knowledge
    distillation", NeurIPS 2023: https://arxiv.org/abs/2310.19444. eps of 1 is cross-entropy with the
    teacher, more trusts the label more. There is no T^2. Of soft labels the likeliest class is y, as in the authors'
    code, which is infinite where a probability is 0, and this is not. A head halves its map until it is as small as the
    last stage's, doubling the channels, then averages and classifies; for the last stage it is a 1x1 convolution.

    Knowledge: responses of stages. Trained parts: a head for each map.

    Usual weight: 1, beside 1 of cross-entropy and 1 of "OFA on student=teacher", between the logits.

    Args:
        eps: of all maps, or of each.
        temperature: T.
        halvings: how many stages come after each map; by default, the maps are the last stages.
        width: of the heads' features; by default, that of the student or of the teacher, the larger.

    Shapes: student: maps (N, C, H, W), or logits (N, K), which need no head, one or several; teacher logits (N, K);
    labels: class indices (N,), or probabilities (N, K); unless a width is given, the teacher's pooled features (N, D).
    `build` makes the heads.

    Raises:
        BadInput: as many eps or halvings as maps are needed.

    >>> import torch
    >>> from potstill.losses import OFA
    >>> student = torch.randn(8, 16, 32, 32), torch.randn(8, 32, 16, 16), torch.randn(8, 64, 8, 8)
    >>> rest = torch.randn(8, 10), torch.arange(8), torch.randn(8, 256)
    >>> loss = OFA()
    >>> loss.build(student, *rest)
    >>> loss(student, *rest).shape, [(head[-1].in_features, head[-1].out_features) for head in loss.projector]
    (torch.Size([]), [(256, 10), (256, 10), (256, 10)])
    """

    @checked
    def __init__(
        self,
        eps: Power | Sequence[Power] = 1.0,
        temperature: Temperature = 1.0,
        halvings: Sequence[Halvings] | None = None,
        width: Width | None = None,
    ) -> None:
        super().__init__()
        self.eps, self.temperature, self.halvings, self.width = eps, temperature, halvings, width
        stages = "student.stage1", "student.stage2", "student.stage3"
        self.taps = (stages, "teacher", "labels", *(["teacher.pooled"] if width is None else []))
        self.projector = nn.ModuleList()

    def build(self, student: Tensor | Sequence[Tensor], teacher: Tensor, labels: Tensor, *pooled: Tensor) -> None:
        """Make a head for each map."""
        inputs = _several(student)
        halvings = self._each(self.halvings or [*reversed(range(len(inputs)))], len(inputs), "halvings")
        for maps, halved in zip(inputs, halvings, strict=True):
            own = maps.shape[1] * 2**halved
            width = self.width or max(own, pooled[0].shape[1] if pooled else 0)
            head = make_head(maps.shape[1], width, teacher.shape[1], halved) if maps.ndim == 4 else nn.Identity()
            self.projector.append(head.to(teacher))

    def forward(self, student: Tensor | Sequence[Tensor], teacher: Tensor, labels: Tensor, *pooled: Tensor) -> Tensor:
        inputs = _several(student)
        eps = self._each(
            [self.eps] * len(inputs) if isinstance(self.eps, int | float) else self.eps, len(inputs), "eps"
        )
        heads: Iterable[nn.Module] = self.projector if len(self.projector) else [nn.Identity()] * len(inputs)
        right = shares(likeliest(labels, teacher), teacher)
        p = (teacher / self.temperature).softmax(dim=1)
        total = p.new_zeros(())
        for head, one, power in zip(heads, inputs, eps, strict=True):
            log_p = F.log_softmax(head(one) / self.temperature, dim=1)
            total = total - (((p + right).pow(power) - right) * log_p).sum(dim=1).mean()
        return total

    @staticmethod
    def _each(given: Sequence[Any], count: int, name: str) -> Sequence[Any]:
        if len(given) != count:
            raise BadInput(f"OFA: {len(given)} {name} for {count} maps")
        return given


def _several(student: Tensor | Sequence[Tensor]) -> Sequence[Tensor]:
    return (student,) if isinstance(student, Tensor) else student
