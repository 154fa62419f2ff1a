"""DIST+: relations of maps beside those of logits."""

import torch
from torch import Tensor

from potstill.checked import checked
from potstill.errors import BadInput
from potstill.losses.loss import Loss
from potstill.losses.unit_length import unit_length
from potstill.ranges import NotNegative, Temperature

EPS = 1e-8


class DISTPlus(Loss):
    """As DIST, and in the last map too: channels at a place, and images for a place, correlate with the teacher's.

        L = DIST(beta, gamma, T) of the logits
          + iota * mean over samples and positions of (1 - r over the channels)
          + kappa * mean over positions of (1 - r over the batch, of maps summed over channels),    r = Pearson's

    Huang, You, Wang, Qian and Xu, "DIST+: knowledge distillation from a stronger adaptive teacher", TPAMI 2025:
    https://ieeexplore.ieee.org/document/10938241. Its authors have published no code: this is by torchdistill's
    (https://github.com/yoshitomo-matsubara/torchdistill), without the paper. There iota * r is added, and drives the
    channels apart; ``as_ported`` does so. r is 0, without a gradient, where one side is constant, as channels after a
    ReLU often are; torchdistill's gradient is nan there. The teacher is as it is, and adapts to nothing.

    Knowledge: responses and features.

    Usual weight: 1, beside 1 of cross-entropy.

    Args:
        beta: as in `DIST`.
        gamma: as in `DIST`.
        iota: weight of the channels.
        kappa: weight of the positions.
        temperature: T.
        as_ported: add iota * r, not iota * (1 - r).

    Shapes: student and teacher: pairs of the last map (N, C, H, W), of equal shapes, and logits (N, K).

    Raises:
        BadInput: shapes of student and teacher differ, or all weights are 0.

    >>> import torch
    >>> from potstill.losses import DISTPlus
    >>> student, teacher = ((torch.randn(8, 16, 4, 4), torch.randn(8, 10)) for _ in range(2))
    >>> DISTPlus()(student, student) < 1e-5, DISTPlus()(student, teacher) > 1
    (tensor(True), tensor(True))
    """

    taps = (("student.stage3", "student"), ("teacher.stage3", "teacher"))
    whole_batch = True

    @checked
    def __init__(
        self,
        beta: NotNegative = 2.0,
        gamma: NotNegative = 2.0,
        iota: NotNegative = 1.0,
        kappa: NotNegative = 1.0,
        temperature: Temperature = 1.0,
        as_ported: bool = False,
    ) -> None:
        super().__init__()
        if not (beta or gamma or iota or kappa):
            raise BadInput("DISTPlus: all weights are 0")
        self.beta, self.gamma, self.iota, self.kappa = beta, gamma, iota, kappa
        self.temperature, self.as_ported = temperature, as_ported

    def forward(self, student: tuple[Tensor, Tensor], teacher: tuple[Tensor, Tensor]) -> Tensor:
        (map_s, z_s), (map_t, z_t) = student, teacher
        for name, one, other in (("maps", map_s, map_t), ("logits", z_s, z_t)):
            if one.shape != other.shape:
                raise BadInput(f"DISTPlus: {name} {tuple(one.shape)} and {tuple(other.shape)} differ in shape")
        y_s, y_t = ((logits / self.temperature).softmax(dim=1) for logits in (z_s, z_t))
        of_samples, of_classes = 1 - correlations(y_s, y_t).mean(), 1 - correlations(y_s.T, y_t.T).mean()
        places = [maps.sum(dim=1).flatten(1).T for maps in (map_s, map_t)]
        channels = channel_correlation(map_s, map_t)
        return (
            (self.beta * of_samples + self.gamma * of_classes) * self.temperature**2
            + self.iota * (channels if self.as_ported else 1 - channels)
            + self.kappa * (1 - correlations(*places).mean())
        )


def channel_correlation(student: Tensor, teacher: Tensor) -> Tensor:
    """Pearson's correlation over the channels of two maps (N, C, H, W), averaged over samples and positions."""
    s, t = (_centred(maps.movedim(1, -1)) for maps in (student, teacher))
    lengths: Tensor = torch.linalg.vector_norm(s, dim=-1) * torch.linalg.vector_norm(t, dim=-1)
    return ((s * t).sum(dim=-1) / (lengths + EPS).masked_fill(lengths == 0, torch.inf)).mean()


def correlations(a: Tensor, b: Tensor) -> Tensor:
    """Pearson's correlation of each row of ``a`` with the same row of ``b``; 0 where one of them is constant."""
    return (unit_length(_centred(a), EPS) * unit_length(_centred(b), EPS)).sum(dim=-1)


def _centred(vectors: Tensor) -> Tensor:
    return vectors - vectors.mean(dim=-1, keepdim=True)
