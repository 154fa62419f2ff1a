"""The settings of teachers of features: which trained backbones they are, and which images they see; flags."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from potstill.home import Expanded
from potstill.ranges import Side

if TYPE_CHECKING:
    from torch import nn

    from potstill.data import Data


@dataclass(frozen=True)
class FeatureTeachers(Expanded):
    """Trained backbones to learn from, whatever their classes, images and normalisation.

    >>> FeatureTeachers(("timm:vit_small_patch14_dinov2", "timm:vit_base_patch16_siglip_224")).teacher_size
    ()
    """

    teachers: tuple[str, ...]
    """Trained networks: timm:NAME, torchvision:NAME, hf:ORG/NAME, a run folder, file.py:FUNCTION, or any whose weights
    are given. Classifiers count without what makes their classes."""
    teacher_weights: tuple[Path, ...] = ()
    """Their weights, in the same order: files, or pretrained; those that bring weights of their own may be left out."""
    teacher_normalize: tuple[str, ...] = ()
    """Mean and deviation of the images they were trained on, if not known from there: one for all, or one each."""
    teacher_size: tuple[Side, ...] = ()
    """Height and width of those images: one for all, or one each."""

    def create(self, data: "Data") -> "dict[str, nn.Module]":
        """The networks, frozen, which return features: ``teacher``, or ``teacher1``, ``teacher2``, ...

        Args:
            data: what they are asked about.

        Raises:
            BadInput: other numbers of flags than of teachers, and whatever is wrong with a teacher.
        """
        from potstill.embedding.teachers import create_feature_teacher
        from potstill.networks.teachers import create_teachers

        return create_teachers(
            self.teachers,
            data,
            "each",
            weights=self.teacher_weights,
            normalize=self.teacher_normalize,
            size=self.teacher_size,
            create=create_feature_teacher,
        )
