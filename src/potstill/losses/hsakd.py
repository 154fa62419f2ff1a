"""Hierarchical self-supervised augmented knowledge distillation: classifiers of class and rotation, stage by stage."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from potstill.checked import checked
from potstill.losses.branch import kernel_for, make_branch
from potstill.losses.kd import KD
from potstill.losses.labels import class_indices
from potstill.losses.loss import Loss
from potstill.networks.rotations import TURNS
from potstill.ranges import Temperature

ONE_CLASS = "HSAKD joins each image's class with its rotation"
Network = tuple[Tensor, ...]  # a map of each stage, logits


class HSAKD(Loss):
    """Every stage of the student learns what the teacher's stage sees of a turned image: its class and its rotation.

        L = CE(upright z_s) + KD(z_s, z_t; T) + sum over stages of KD(a_s, a_t; T)

    a are the logits of auxiliary classifiers, over 4 K joint classes (4 * class + rotation). Yang, An, Cai and Xu,
    "Hierarchical self-supervised augmented knowledge distillation", IJCAI 2021, eq. 5 to 9:
    https://arxiv.org/abs/2107.13715. ``potstill distill --terms HSAKD`` gives the networks all images in four
    rotations, one after the other: their batch norms see those, too. The authors' classifiers repeat a network's later
    stages; here they are the bottlenecks of `BYOT`.

    The authors train the teacher's classifiers first, for 100 epochs. Here that is done alongside, by cross-entropy
    with the joint classes; the student learns from them without touching them.

    Knowledge: responses of all stages. Trained parts: a classifier for each stage of each network.

    Usual weight: 1, in the place of cross-entropy and KD.

    Args:
        temperature: T.

    Shapes: student is (a map (4N, C, H, W) of each stage, in their order, logits (4N, K)), rows 0, 4, 8, ... upright;
    teacher likewise; labels: class indices (N,) only. `build` makes the classifiers.

    Raises:
        BadInput: labels that are not class indices.

    >>> import torch
    >>> from potstill.losses import HSAKD
    >>> student, teacher = ((torch.randn(32, width, 8, 8), torch.randn(32, 10)) for width in (16, 64))
    >>> loss = HSAKD()
    >>> loss.build(student, teacher, torch.arange(8))
    >>> loss(student, teacher, torch.arange(8)).shape
    torch.Size([])
    """

    hard_labels = True
    taps = (
        ("student@rotated.stage1", "student@rotated.stage2", "student@rotated.stage3", "student@rotated"),
        ("teacher@rotated.stage1", "teacher@rotated.stage2", "teacher@rotated.stage3", "teacher@rotated"),
        "labels",
    )

    @checked
    def __init__(self, temperature: Temperature = 3.0) -> None:
        super().__init__()
        self.temperature = temperature
        self.heads_s, self.heads_t = nn.ModuleList(), nn.ModuleList()

    def build(self, student: Network, teacher: Network, labels: Tensor) -> None:
        """Make the auxiliary classifiers."""
        for heads, (*maps, logits) in ((self.heads_s, student), (self.heads_t, teacher)):
            for place, value in enumerate(maps):
                heads.append(_head(value, maps[-1].shape[1], len(maps) - 1 - place, TURNS * logits.shape[1]))
        self.to(student[-1])

    def forward(self, student: Network, teacher: Network, labels: Tensor) -> Tensor:
        ours, theirs = (
            [head(value) for head, value in zip(heads, maps, strict=True)]
            for heads, (*maps, _) in ((self.heads_s, student), (self.heads_t, teacher))
        )
        joint = joint_classes(class_indices(labels, student[-1][::TURNS], ONE_CLASS))
        taught = torch.stack([F.cross_entropy(logits, joint) for logits in theirs]).sum()
        return taught + self.compare((*ours, student[-1]), (*(t.detach() for t in theirs), teacher[-1]), labels)

    def compare(self, student: Network, teacher: Network, labels: Tensor) -> Tensor:
        """The loss of auxiliary logits (4N, 4K) and the usual ones (4N, K), which come last."""
        kd = KD(self.temperature)
        told = torch.stack([kd(ours, theirs) for ours, theirs in zip(student, teacher, strict=True)]).sum()
        return told + F.cross_entropy(student[-1][::TURNS], labels)


def joint_classes(labels: Tensor) -> Tensor:
    """The joint classes (4N,) of images (N,) in their four rotations.

    >>> joint_classes(torch.tensor([0, 2]))
    tensor([ 0,  1,  2,  3,  8,  9, 10, 11])
    """
    return (TURNS * labels.unsqueeze(1) + torch.arange(TURNS, device=labels.device)).flatten()


def _head(value: Tensor, features: int, later: int, classes: int) -> nn.Module:
    branch = make_branch(value.shape[1], features, kernel_for(value, later))
    return nn.Sequential(branch, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(features, classes))
