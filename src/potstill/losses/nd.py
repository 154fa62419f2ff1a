"""Norm and direction."""

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from potstill.checked import checked
from potstill.errors import BadInput
from potstill.losses.connector import BatchNorm
from potstill.losses.labels import class_indices
from potstill.losses.loss import Loss
from potstill.losses.unit_length import unit_length
from potstill.ranges import Number

ONE_CLASS = "ND turns the features of an image towards the mean of its one class; with mixup, use PKT or CKA"


class ND(Loss):
    """The student's features point to where the teacher has their class, and become as long as the teacher's at least.

        e_k = c_k / ||c_k||,  c_k the mean of the teacher's features of class k
        L = mean of 1 - s . e_label / max(||s||, ||t||)

    Wang, Cheng, Duan, Wang, Feng and Kong, "Improving knowledge distillation via regularizing feature direction and
    norm", ECCV 2024, section 3: https://arxiv.org/abs/2305.17007. Part of their "KD++". Where the student's features
    are the longer ones, their length no longer matters. Where both are 0, the term is 1 without a gradient; nan in the
    original.

    Soft labels are refused: a mixture of two images has two directions.

    Knowledge: features. Trained parts: an adapter, if the widths differ.

    Usual weight: 2, beside 1 of cross-entropy and 1 of KD.

    Args:
        centers: c of every class, (K, D'), over the training set; by default, of those in this batch of the teacher.
            The recipe ``class-means`` has those over the training set.

    Shapes: student (N, D), teacher (N, D'), further dimensions flattened; labels: class indices (N,) only. If the
    widths differ, `build` makes an adapter of the student's features, as the authors have it: batch norm, dropout of
    one half, and a linear layer whose bias starts at 0.

    Raises:
        BadInput: centres of another width than the teacher's features; labels that are not class indices.

    >>> import torch
    >>> from potstill.losses import ND
    >>> centers = torch.tensor([[2.0, 0.0], [0.0, 3.0]])
    >>> student, teacher = torch.tensor([[5.0, 0.0]]), torch.tensor([[0.0, 4.0]])
    >>> ND(centers)(student, teacher, torch.tensor([0]))  # long enough, the right way
    tensor(0.)
    >>> ND(centers)(student / 2.5, teacher, torch.tensor([0]))  # half as long as the teacher's
    tensor(0.5000)
    """

    taps = ("student.pooled", "teacher.pooled", "labels")
    hard_labels = True
    centers: Tensor | None

    @checked
    def __init__(self, centers: Tensor | Sequence[Sequence[Number]] | None = None) -> None:
        super().__init__()
        self.register_buffer("centers", None if centers is None else torch.as_tensor(centers).detach())
        self.whole_batch = centers is None  # which is then where the means come from
        self.adapter: nn.Module = nn.Identity()

    def build(self, student: Tensor, teacher: Tensor, labels: Tensor) -> None:
        """Make the adapter, if need be, for features of these widths."""
        own, width = student.flatten(1).shape[1], teacher.flatten(1).shape[1]
        if self.centers is not None and self.centers.shape[1:] != (width,):
            raise BadInput(f"ND: centers {tuple(self.centers.shape)}, but the teacher has {width} features")
        if own != width:
            linear = nn.Linear(own, width)
            nn.init.zeros_(linear.bias)
            self.adapter = nn.Sequential(OrderedDict(bn=BatchNorm(own), dropout=nn.Dropout(0.5), linear=linear))
        self.to(student)

    def forward(self, student: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
        labels, s, t = class_indices(labels, student, ONE_CLASS), self.adapter(student.flatten(1)), teacher.flatten(1)
        # Of the class's features in this batch a sum will do, which points where their mean does.
        centers = (labels.unsqueeze(1) == labels).to(t) @ t if self.centers is None else self.centers[labels]
        longest = torch.maximum(*(torch.linalg.vector_norm(features, dim=1) for features in (s, t)))
        along = (s * unit_length(centers)).sum(dim=1)
        loss: Tensor = (1 - along / longest.masked_fill(longest == 0, torch.inf)).mean()
        return loss
