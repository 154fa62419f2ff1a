"""Be your own teacher: self-distillation from the deepest classifier to shallow ones."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from potstill.checked import checked
from potstill.losses.branch import kernel_for, make_branch
from potstill.losses.loss import Loss
from potstill.ranges import Fraction, NotNegative, Temperature


class BYOT(Loss):
    """Classifiers on a network's earlier stages learn from its last one, and what they need makes the stages better.

        L = (1 - alpha) * (CE(z) + sum over branches k of CE(z_k)) + alpha * T^2 * sum of H(softmax(z / T), z_k / T)
            + beta * sum of ||(f_k - f) where f_k > 0 or f > 0||^2

    z and f are the network's logits and features, which only CE(z) trains; z_k and f_k those of a branch; H the
    cross-entropy, from which the entropy of z is not subtracted. Zhang et al., "Be your own teacher: improve the
    performance of convolutional neural networks via self distillation", ICCV 2019, eq. 2 to 5:
    https://arxiv.org/abs/1905.08094. It takes the place of cross-entropy: ``potstill supervised --terms BYOT``; of
    other than three stages ``BYOT on stage1, stage2, stage3``, all but the last. As in the port that most start from
    (the authors' details are not known), a branch is a bottleneck of three convolutions, average pooling and a linear
    layer, and the last part is a sum over batch and features, so that beta depends on both.

    Knowledge: responses and features of the network itself. Trained parts: a branch with a classifier for each stage.

    Usual weight: 1, in the place of cross-entropy.

    Args:
        alpha: weight of what the last classifier says; the labels have the rest.
        temperature: T.
        beta: weight of the features.

    Shapes: student is (a map (N, C, H, W) of each earlier stage, in their order, logits (N, K)); labels: class indices
    (N,) or probabilities (N, K); features (N, D) of the last stage. `build` makes the branches, which are thrown away
    in the end.

    >>> import torch
    >>> from potstill.losses import BYOT
    >>> stages = torch.randn(8, 16, 32, 32), torch.randn(8, 32, 16, 16)
    >>> batch = (*stages, torch.randn(8, 10)), torch.arange(8), torch.rand(8, 64)
    >>> loss = BYOT()
    >>> loss.build(*batch)
    >>> [branch(stage).shape for branch, stage in zip(loss.branches, stages)]
    [torch.Size([8, 64, 8, 8]), torch.Size([8, 64, 8, 8])]
    >>> loss(*batch).shape
    torch.Size([])
    """

    taps = (("student.stage1", "student.stage2", "student"), "labels", "student.pooled")

    @checked
    def __init__(self, alpha: Fraction = 0.1, temperature: Temperature = 3.0, beta: NotNegative = 1e-6) -> None:
        super().__init__()
        self.alpha, self.temperature, self.beta = alpha, temperature, beta
        self.whole_batch = beta > 0  # a sum over the batch's rows
        self.branches, self.classifiers = nn.ModuleList(), nn.ModuleList()

    def build(self, student: tuple[Tensor, ...], labels: Tensor, features: Tensor) -> None:
        """Make a branch with a classifier for each map."""
        *maps, logits = student
        for place, value in enumerate(maps):
            kernel = kernel_for(value, len(maps) - place)
            self.branches.append(make_branch(value.shape[1], features.shape[1], kernel))
            self.classifiers.append(nn.Linear(features.shape[1], logits.shape[1]))
        self.to(logits)

    def forward(self, student: tuple[Tensor, ...], labels: Tensor, features: Tensor) -> Tensor:
        *maps, logits = student
        own = [branch(value).mean(dim=(2, 3)) for branch, value in zip(self.branches, maps, strict=True)]
        sides = [classify(value) for classify, value in zip(self.classifiers, own, strict=True)]
        return self.compare(logits, sides, own, features, labels)

    def compare(
        self, final: Tensor, sides: list[Tensor], own: list[Tensor], features: Tensor, labels: Tensor
    ) -> Tensor:
        """The loss of the branches' logits and features."""
        labelled = F.cross_entropy(final, labels) + sum(F.cross_entropy(side, labels) for side in sides)
        total = (1 - self.alpha) * labelled + self.alpha * self.soft(final, sides)
        return total + self.beta * feature_distance(own, features)

    def soft(self, final: Tensor, sides: list[Tensor]) -> Tensor:
        """The cross-entropy of the branches' logits with what the last classifier says, times T^2."""
        targets = F.softmax(final.detach() / self.temperature, dim=1)
        each = [F.cross_entropy(side / self.temperature, targets) for side in sides]
        return torch.stack(each).sum() * self.temperature**2


def feature_distance(own: list[Tensor], features: Tensor) -> Tensor:
    """The squared distances of features (N, D) of the branches from those of the last stage, where either is positive.

    After a ReLU, that leaves nothing out: where both are 0, so is their difference.
    """
    features = features.detach()
    counted = [(one - features).square() * ((one > 0) | (features > 0)) for one in own]
    return torch.stack(counted).sum()
