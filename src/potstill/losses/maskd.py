"""Masked distillation with receptive tokens."""

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from potstill.checked import checked
from potstill.errors import BadInput
from potstill.losses.connector import make_align
from potstill.losses.loss import Loss
from potstill.losses.sizes import pool_to_smaller
from potstill.ranges import Width

LEAST = 1e-12  # of what is divided by


class Masks(nn.Module):
    """Learned tokens, each of which finds the positions of a teacher's map that answer to it: a mask.

    As a network behind the teacher's map it returns that map times the sum of its masks, each times its weight in the
    sample: the teacher goes on with it, and its own task trains the masks, together with `overlap`, before they are
    given to `MasKD`.

    Args:
        tokens: how many masks.
        weighted: whether a small network on the map weighs the masks of a sample; otherwise all weigh the same.

    Shapes: maps (N, C, H, W); `build` needs one.
    """

    @checked
    def __init__(self, tokens: Width = 6, weighted: bool = True) -> None:
        super().__init__()
        self.tokens = tokens
        self.weighted = weighted
        self.mask_token = nn.Parameter(torch.empty(0))

    def build(self, maps: Tensor) -> None:
        """Make tokens, and the network that weighs them, for maps of this shape."""
        width = maps.shape[1]
        self.mask_token = nn.Parameter(0.01 * torch.randn(self.tokens, width))
        if self.weighted:
            layers = {"conv1": nn.Conv2d(width, width, 3, padding=1), "pool": nn.AdaptiveAvgPool2d(1)}
            layers |= {"conv2": nn.Conv2d(width, self.tokens, 1)}
            self.prob = nn.Sequential(OrderedDict(layers))
        self.to(maps)

    def of(self, maps: Tensor) -> Tensor:
        """The masks of maps (N, C, H, W), (N, tokens, H, W): sigmoids of products of a token and a position."""
        return torch.einsum("tc,nchw->nthw", self.mask_token, maps).sigmoid()

    def weights(self, maps: Tensor) -> Tensor:
        """What each mask weighs in a sample, (N, tokens): a softmax over them, or 1 everywhere."""
        if not self.weighted:
            return maps.new_ones(len(maps), self.tokens)
        return torch.softmax(self.prob(maps).flatten(1), dim=1)

    def overlap(self, maps: Tensor) -> Tensor:
        """The Dice coefficient of two different masks of a sample, in the mean: to be small while they learn."""
        flat = self.of(maps).flatten(2)
        products, squares = flat @ flat.transpose(1, 2), flat.square().sum(dim=2)
        dice = 2 * products / (squares.unsqueeze(1) + squares.unsqueeze(2) + 2 * LEAST)
        others = dice.sum(dim=(1, 2)) - dice.diagonal(dim1=1, dim2=2).sum(dim=1)
        return others.mean() / max(1, self.tokens * (self.tokens - 1))

    def forward(self, maps: Tensor) -> Tensor:
        """The map with what no mask holds left out."""
        return maps * torch.einsum("nt,nthw->nhw", self.weights(maps), self.of(maps)).unsqueeze(1)


class MaskLearning(Loss):
    """Trains masks on a frozen teacher, before any student: what they leave of its map must do for its own task.

        L = CE(rest(masked t), labels) + overlap of the masks

    Huang et al., "Masked distillation with receptive tokens", ICLR 2023, section 3.2: https://arxiv.org/abs/2205.14589.
    A term of its own, ``Term(MaskLearning(masks, rest), "teacher.stage3", "labels")``, after which the masks are given
    to `MasKD`.

    Args:
        masks: to train.
        rest: what the teacher computes from its map on, a frozen part of it: `potstill.networks.graft.upper_part`.

    Shapes: teacher (N, C, H, W), labels (N,) or probabilities (N, K).
    """

    taps = ("teacher.stage3", "labels")

    def __init__(self, masks: Masks, rest: nn.Module) -> None:
        super().__init__()
        self.masks = masks
        self.rest = (rest,)  # no module of this one: it is the teacher's own, which must neither train nor be saved

    def build(self, teacher: Tensor, labels: Tensor) -> None:
        """Make the masks for maps of this shape."""
        self.masks.build(teacher)

    def forward(self, teacher: Tensor, labels: Tensor) -> Tensor:
        (rest,) = self.rest
        return F.cross_entropy(rest(self.masks(teacher)), labels) + self.masks.overlap(teacher)


class MasKD(Loss):
    """The student copies the teacher's map region by region, so that small regions count as much as large ones.

        m_k = sigmoid(token_k . t), at each position
        L = sum over k of w_k * mean over channels of sum of m_k^2 (s - t)^2 / sum of m_k,    mean over the batch

    Huang et al., "Masked distillation with receptive tokens", ICLR 2023: https://arxiv.org/abs/2205.14589. w is a
    softmax over the masks, or 1 over their number. The tokens are learned beforehand, on the teacher alone, and stay as
    they are; in the authors' code nothing keeps an optimiser from shrinking the masks to nothing.

    Knowledge: features. Trained parts: masks unless some are given, and a 1x1 convolution if the channels differ.

    Args:
        masks: trained ones, which are frozen, as in the paper and in the recipe ``masked``. Without them MasKD makes
            its own and trains them alongside, never through the student: to overlap little, and to keep of the
            teacher's map what they can. The latter, mean of (masked t - t)^2, is ours: it stands in for the teacher's
            task, which needs the rest of it.
        tokens: masks that are made here.
        weighted: whether those that are made here are weighed.
        student_masks: whether the masks are multiplied by those that the same tokens have on the student's map, as the
            authors' code does after 1000 steps.

    Shapes: student (N, C, H, W), teacher (N, C', H', W'); `build` needs a pair of them. Of two sizes, the larger map is
    average-pooled to the smaller first; the original needs equal ones, and equal channels.

    Raises:
        BadInput: the masks are of another width than the teacher's map, or have not been trained.

    >>> import torch
    >>> from potstill.losses import MasKD
    >>> student, teacher = torch.randn(8, 32, 4, 4), torch.randn(8, 64, 4, 4)
    >>> loss = MasKD(tokens=4)
    >>> loss.build(student, teacher)
    >>> loss.masks.of(teacher).shape, loss(student, teacher).shape
    (torch.Size([8, 4, 4, 4]), torch.Size([]))
    """

    taps = ("student.stage3", "teacher.stage3")

    @checked
    def __init__(
        self, masks: Masks | None = None, tokens: Width = 6, weighted: bool = True, student_masks: bool = False
    ) -> None:
        super().__init__()
        self.trained = masks is not None
        self.masks = masks or Masks(tokens, weighted)
        self.student_masks = student_masks
        self.align: nn.Module = nn.Identity()
        if self.trained:
            self.masks.requires_grad_(False)

    def build(self, student: Tensor, teacher: Tensor) -> None:
        """Make masks if none were given, and the convolution if need be, for maps of these shapes."""
        width = teacher.shape[1]
        if not self.trained:
            self.masks.build(teacher)
        elif self.masks.mask_token.shape != (self.masks.tokens, width):
            raise BadInput(f"MasKD: the masks are none of the teacher's {width} channels; train them on its map first")
        self.align = make_align(student.shape[1], width).to(student)

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        student, teacher = pool_to_smaller(self.align(student), teacher)
        loss = self._distance(student, teacher)
        if self.trained:
            return loss
        return loss + self.masks.overlap(teacher) + F.mse_loss(self.masks(teacher), teacher)

    def _distance(self, student: Tensor, teacher: Tensor) -> Tensor:
        with torch.no_grad():
            masks, weights = self.masks.of(teacher), self.masks.weights(teacher)
            if self.student_masks:
                masks = masks * self.masks.of(student)
            sums = masks.sum(dim=(2, 3)).clamp(min=LEAST)
            weights = weights / weights.sum(dim=1, keepdim=True)
        squares = (student - teacher).square().mean(dim=1)
        return (weights * torch.einsum("nthw,nhw->nt", masks.square(), squares) / sums).sum(dim=1).mean()
