"""Class attention transfer."""

import torch.nn.functional as F
from torch import Tensor

from potstill.checked import checked
from potstill.errors import BadInput
from potstill.losses.loss import Loss
from potstill.losses.unit_length import unit_length
from potstill.ranges import Classes, Side


def class_maps(given: Tensor | tuple[Tensor, ...]) -> Tensor:
    """Class activation maps (N, K, H, W): the classifier (weight and perhaps bias) at each position of the last map.

    Their mean over positions is the logits. What is no tuple is taken for such maps already.
    """
    if isinstance(given, Tensor):
        return given
    maps, weight, *rest = given
    check_pooled("CATKD", maps, weight)
    return F.conv2d(maps, weight[:, :, None, None], rest[0] if rest else None)


def check_pooled(name: str, maps: Tensor, weight: Tensor) -> None:
    """Refuse a map (N, C, H, W) that a classifier of weight (K, C') does not read when it is pooled."""
    if maps.shape[1] != weight.shape[1]:
        raise BadInput(
            f"{name}: a map of {maps.shape[1]} channels is not what is pooled before a classifier that takes "
            f"{weight.shape[1]} features; tap that one"
        )


class CATKD(Loss):
    """For each class, the student looks where the teacher looks.

        A = W a + b, at each position;    P(A) = A, average-pooled to a small grid, of unit length a class
        L = mean of (P(A_s) - P(A_t))^2

    Guo, Yan, Li and Lin, "Class attention transfer based knowledge distillation", CVPR 2023:
    https://arxiv.org/abs/2304.12777. a is the map that is pooled before the classifier W, b. The student's classifier
    learns, too. Of the published settings, those for alike networks do not scale to unit length (weights 0.7 to 15);
    those for unlike ones do (weights 15 to 600): a weight for the one is no weight for the other.

    Knowledge: features.

    Usual weight: 0.7 for resnet56 and resnet20, up to 15 for resnet32x4 and resnet8x4, beside 1 of cross-entropy.

    Args:
        resolution: sides of the grid.
        normalize: whether each class's map is scaled to unit length.
        binarize: whether the teacher's maps become 1 where they are above the mean of their absolute values, and 0
            elsewhere, before pooling. The student's stay as they are.
        classes: how many count, those of the teacher's largest logits; by default all. The authors' code keeps one
            fewer than it is told, and other numbers where logits are equal.

    Shapes: student and teacher tuples of a map (N, C, H, W), the classifier's weight (K, C) and perhaps bias (K,), or
    just class maps (N, K, H, W) of any sizes; with ``classes`` the teacher's logits (N, K).

    Raises:
        BadInput: more ``classes`` than there are.

    >>> import torch
    >>> from potstill.losses import CATKD
    >>> student, teacher = torch.zeros(8, 10, 4, 4), torch.zeros(8, 10, 8, 8)
    >>> student[:, :, :2, :2] = 1
    >>> teacher[:, :, :4, :4] = 5  # looks at the same corner, more strongly
    >>> CATKD()(student, teacher), CATKD(normalize=False)(student, teacher)
    (tensor(0.), tensor(4.))
    """

    @checked
    def __init__(
        self, resolution: Side = 2, normalize: bool = True, binarize: bool = False, classes: Classes | None = None
    ) -> None:
        super().__init__()
        self.resolution, self.normalize, self.binarize, self.classes = resolution, normalize, binarize, classes
        places = ("stage3", "fc.weight", "fc.bias")
        networks = tuple(tuple(f"{name}.{place}" for place in places) for name in ("student", "teacher"))
        self.taps: tuple[str | tuple[str, ...], ...] = networks if classes is None else (*networks, "teacher")

    def forward(
        self, student: Tensor | tuple[Tensor, ...], teacher: Tensor | tuple[Tensor, ...], logits: Tensor | None = None
    ) -> Tensor:
        own, target = class_maps(student), class_maps(teacher)
        if self.binarize:
            target = (target > target.abs().mean(dim=(2, 3), keepdim=True)).to(target)
        squares = (self._small(own) - self._small(target)).square()
        return squares.mean() if self.classes is None else self._of_the_best(squares, logits).mean()

    def _small(self, maps: Tensor) -> Tensor:
        flat = F.adaptive_avg_pool2d(maps, self.resolution).flatten(2)
        return unit_length(flat) if self.normalize else flat

    def _of_the_best(self, squares: Tensor, logits: Tensor | None) -> Tensor:
        assert self.classes is not None
        if logits is None or self.classes > logits.shape[1]:
            wrong = "needs the teacher's logits" if logits is None else f"is more than the {logits.shape[1]} there are"
            raise BadInput(f"CATKD: classes={self.classes} {wrong}")
        best = logits.topk(self.classes, dim=1).indices
        return squares.gather(1, best.unsqueeze(2).expand(-1, -1, squares.shape[2]))
