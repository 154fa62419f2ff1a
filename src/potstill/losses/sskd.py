"""Knowledge distillation with self-supervision: how a teacher finds rotated images among upright ones."""

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from potstill.checked import checked
from potstill.errors import BadInput
from potstill.losses.kd import KD
from potstill.losses.labels import class_indices
from potstill.losses.loss import Loss
from potstill.losses.unit_length import unit_length
from potstill.networks.rotations import TURNS
from potstill.ranges import Fraction, NotNegative, Temperature

ONE_CLASS = "SSKD asks whether the teacher is right about a turned image"
Weights = tuple[NotNegative, NotNegative, NotNegative, NotNegative]


class SSKD(Loss):
    """The student also learns what its teacher sees in turned images: their classes, and which upright one they were.

        L = w1 * CE + w2 * KD(T) on the upright images + w3 * KD(T) on the turned ones that are kept
            + w4 * KL(softmax(s_t / T_s) || softmax(s_s / T_s)) * T_s^2 on those that are kept

    s (3N, N) are the cosines of the projected features of turned images with those of upright ones. Of the turned
    images those are kept about which the teacher is right, and a part of the others, the least wrong first. Xu, Liu, Li
    and Loy, "Knowledge distillation meets self-supervision", ECCV 2020, section 3: https://arxiv.org/abs/2006.07114.
    ``potstill distill --terms SSKD`` gives the networks all images in four rotations, one after the other: their batch
    norms see those, too. Equally wrong images are kept in their order, where the authors' order depends on the device.

    The authors train the teacher's projection first, for 60 epochs. Here that is done alongside, by the same
    cross-entropy of finding the upright image; the student learns from it without touching it. Several processes
    compare the images of each alone.

    Knowledge: responses, relations of samples. Trained parts: a projection of each network's features.

    Usual weight: 1, in the place of cross-entropy and KD.

    Args:
        weights: w1 to w4.
        temperature: T.
        similarity_temperature: T_s.
        kept: the part of the images about whose class the teacher is wrong.
        similarities_kept: the part of those that it does not recognise.
        turned_temperature: of the turned images' KD; by default T.

    Shapes: student is (logits (4N, K), features (4N, D)), rows 0, 4, 8, ... upright; teacher likewise, of any D';
    labels: class indices (N,) only. `build` makes the projections.

    Raises:
        BadInput: labels that are not class indices.

    >>> import torch
    >>> from potstill.losses import SSKD
    >>> student, teacher = (torch.randn(32, 10), torch.randn(32, 16)), (torch.randn(32, 10), torch.randn(32, 64))
    >>> loss = SSKD()
    >>> loss.build(student, teacher, torch.arange(8))
    >>> loss(student, teacher, torch.arange(8)).shape
    torch.Size([])
    """

    hard_labels = True
    taps = (("student@rotated", "student@rotated.pooled"), ("teacher@rotated", "teacher@rotated.pooled"), "labels")

    @checked
    def __init__(
        self,
        weights: Weights = (0.1, 0.9, 2.7, 10.0),
        temperature: Temperature = 4.0,
        similarity_temperature: Temperature = 0.5,
        kept: Fraction = 1.0,
        similarities_kept: Fraction = 0.75,
        turned_temperature: Temperature | None = None,
    ) -> None:
        super().__init__()
        if not any(weights):
            raise BadInput("SSKD: all four weights are 0")
        self.weights, self.temperature, self.similarity_temperature = weights, temperature, similarity_temperature
        self.kept, self.similarities_kept = kept, similarities_kept
        self.turned_temperature = temperature if turned_temperature is None else turned_temperature
        self.project_s: nn.Module = nn.Identity()
        self.project_t: nn.Module = nn.Identity()

    def build(self, student: tuple[Tensor, Tensor], teacher: tuple[Tensor, Tensor], labels: Tensor) -> None:
        """Make the projections."""
        self.project_s, self.project_t = (_projection(features).to(features) for _, features in (student, teacher))

    def forward(self, student: tuple[Tensor, Tensor], teacher: tuple[Tensor, Tensor], labels: Tensor) -> Tensor:
        (z_s, f_s), (z_t, f_t) = student, teacher
        projected = self.project_t(f_t)
        own = torch.arange(len(labels), device=z_s.device).repeat_interleave(TURNS - 1)
        found = F.cross_entropy(similarities(projected) / self.similarity_temperature, own)
        return found + self.compare((z_s, self.project_s(f_s)), (z_t, projected.detach()), labels)

    def compare(self, student: tuple[Tensor, Tensor], teacher: tuple[Tensor, Tensor], labels: Tensor) -> Tensor:
        """The loss of logits (4N, K) and projected features (4N, D)."""
        (z_s, p_s), (z_t, p_t) = student, teacher
        labels = class_indices(labels, z_s[::TURNS], ONE_CLASS)
        of_labels, of_upright, of_turned, of_similarities = self.weights
        upright = KD(self.temperature)(z_s[::TURNS], z_t[::TURNS])
        tempered = turned(z_s) / self.turned_temperature, turned(z_t) / self.turned_temperature
        classes = _divergence(*tempered, self.kept_classes(z_t, labels)) * self.turned_temperature**2
        close = similarities(p_s) / self.similarity_temperature, similarities(p_t) / self.similarity_temperature
        places = _divergence(*close, self.kept_similarities(p_t)) * self.similarity_temperature**2
        total: Tensor = of_labels * F.cross_entropy(z_s[::TURNS], labels) + of_upright * upright
        return total + of_turned * classes + of_similarities * places

    def kept_classes(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Which turned images (3N,) count, by their class."""
        return least_wrong(turned(logits), labels.repeat_interleave(TURNS - 1), self.kept)

    def kept_similarities(self, projected: Tensor) -> Tensor:
        """Which turned images (3N,) count, by the upright one that is found for them."""
        scores = similarities(projected)
        own = torch.arange(scores.shape[1], device=scores.device).repeat_interleave(TURNS - 1)
        return least_wrong(scores, own, self.similarities_kept)


def turned(rows: Tensor) -> Tensor:
    """The rows (3N, ...) of turned images among (4N, ...)."""
    return rows.reshape(-1, TURNS, *rows.shape[1:])[:, 1:].flatten(0, 1)


def similarities(projected: Tensor) -> Tensor:
    """The cosines (3N, N) of turned with upright images' rows, of (4N, D)."""
    rows = unit_length(projected, eps=1e-8)
    return turned(rows) @ rows[::TURNS].T


def least_wrong(scores: Tensor, right: Tensor, part: float) -> Tensor:
    """Which rows (R,) of scores (R, C) count: where the ``right`` column (R,) is the largest, and a part of the others.

    Of those, the ones with the fewest columns above it; of equal ones, the first. Nothing here waits for the device.

    >>> scores = torch.tensor([[3.0, 2, 1], [3, 2, 1], [3, 2, 1]])
    >>> least_wrong(scores, torch.tensor([0, 2, 1]), 0.5)
    tensor([ True, False,  True])
    """
    ranks = (scores > scores.gather(1, right.unsqueeze(1))).sum(dim=1)
    places = ranks.argsort(stable=True).argsort()
    wrong = (ranks > 0).sum()
    return places < len(ranks) - wrong + (part * wrong.double()).floor()


def _divergence(student: Tensor, teacher: Tensor, kept: Tensor) -> Tensor:
    """The mean divergence of the rows that are kept; 0 if none is."""
    log_student, log_teacher = F.log_softmax(student, dim=1), F.log_softmax(teacher, dim=1)
    rows = F.kl_div(log_student, log_teacher, reduction="none", log_target=True).sum(dim=1)
    return (rows * kept).sum() / kept.sum().clamp(min=1)


def _projection(features: Tensor) -> nn.Module:
    width = features.flatten(1).shape[1]
    layers = OrderedDict(
        flat=nn.Flatten(), first=nn.Linear(width, width), relu=nn.ReLU(), second=nn.Linear(width, width)
    )
    return nn.Sequential(layers)
