"""The settings of a teacher: which trained network it is, and which images it sees; flags of every recipe with one."""

from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from potstill.home import Expanded
from potstill.ranges import Side

if TYPE_CHECKING:
    from torch import nn

    from potstill.data import Data

Together = Literal["mean", "each"]


@dataclass(frozen=True)
class AnyTeacher(Expanded):
    """What all recipes call the flags of their teachers; what may be given differs."""

    teacher: str | tuple[str, ...] | None
    """A trained network: a run folder, timm:NAME, torchvision:NAME, hf:ORG/NAME, or one whose weights are given."""
    teacher_weights: Path | tuple[Path, ...] | None = None
    """Its weights: a safetensors or torch file, or pretrained for what its library offers."""
    teacher_normalize: str | tuple[str, ...] | None = None
    """Mean and deviation of the images it was trained on, if not known from there: see normalize."""
    teacher_size: Side | tuple[Side, ...] | None = None
    """Height and width of those images."""
    label_map: Path | None = field(default=None, kw_only=True)
    """Its classes are others than the data's: a JSON or CSV file that says which of them, one or several, each class of
    the data is."""

    def naming(self, data: "Data") -> "Data":
        """The same data; of images without labels, with the classes of this teacher, or of the first of several.

        Where there is a map of labels, these are the classes that it names.

        Raises:
            BadInput: what is wrong with a teacher.
        """
        from potstill.networks.label_map import read_label_map
        from potstill.networks.teachers import classes_of

        if data.classes or not data.unlabelled or self.teacher is None:
            return data
        if self.label_map is not None:
            return replace(data, classes=tuple(read_label_map(self.label_map)))
        known = classes_of(self.teacher, self.teacher_weights, data.shape)
        return replace(data, classes=known.names, several=known.several)

    def create(self, data: "Data", together: Together = "mean") -> "dict[str, nn.Module]":
        """The networks with their weights, frozen: none, ``teacher``, or ``teacher1``, ``teacher2``, ...

        Args:
            data: what they answer on.
            together: whether several are one teacher, the mean of their logits, or each is one.

        Raises:
            BadInput: other numbers of flags than of teachers, and whatever is wrong with a teacher.
        """
        from potstill.networks.teachers import create_teachers
        from potstill.networks.trained import create_trained

        if self.teacher is None:
            return {}
        return create_teachers(
            self.teacher,
            data,
            together,
            weights=self.teacher_weights,
            normalize=self.teacher_normalize,
            size=self.teacher_size,
            create=partial(create_trained, label_map=self.label_map),
        )


@dataclass(frozen=True)
class Teacher(AnyTeacher):
    """A trained network to learn from.

    >>> import tempfile
    >>> from pathlib import Path
    >>> import torch
    >>> import potstill as ps
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     torch.save(ps.networks.create("resnet8").state_dict(), weights := Path(folder, "teacher.pth"))
    ...     networks = ps.Teacher("resnet8", teacher_weights=weights).create(ps.data.load("digits"))
    >>> list(networks), networks["teacher"].training
    (['teacher'], False)
    """

    teacher: str
    teacher_weights: Path | None = None
    teacher_normalize: str | None = None
    teacher_size: Side | None = None


@dataclass(frozen=True)
class OptionalTeacher(AnyTeacher):
    """A trained network to learn from besides, or none."""

    teacher: str | None = None
    """A third, trained network, whose KD is added to the light net's loss."""
    teacher_weights: Path | None = None
    teacher_normalize: str | None = None
    teacher_size: Side | None = None


@dataclass(frozen=True)
class FirstTeacher(AnyTeacher):
    """A trained network that the first of several learns from, or none."""

    teacher: str | None = None
    """The teacher of the first network; without one, that learns from the labels alone."""
    teacher_weights: Path | None = None
    teacher_normalize: str | None = None
    teacher_size: Side | None = None


@dataclass(frozen=True)
class Teachers(AnyTeacher):
    """One trained network to learn from, or several."""

    teacher: str | tuple[str, ...]
    """A trained network: a run folder, timm:NAME, torchvision:NAME, hf:ORG/NAME, or one whose weights are given; or
    several, each of which gets the flags below in the same order."""
    teachers: Together = "mean"
    """Several are one teacher, the mean of their logits; or each has a term of its own, of the n-th part of the weight.
    Terms on their insides are always one each."""

    def __post_init__(self) -> None:
        several = isinstance(self.teacher, tuple)
        if not several:
            object.__setattr__(self, "teachers", "mean")
        super().__post_init__()
        if not several:  # of one it does not matter, also not to which run it is
            object.__setattr__(self, "teachers", None)

    def create(self, data: "Data", together: Together | None = None) -> "dict[str, nn.Module]":
        """As of any teacher; ``together`` as the flag has it."""
        return super().create(data, together or self.teachers)


@dataclass(frozen=True)
class SomeTeacher(Teachers):
    """Trained networks for the methods that learn from one, or none for those that do not."""

    teacher: str | tuple[str, ...] | None = None  # type: ignore[assignment]
    """A trained network: a run folder, timm:NAME, torchvision:NAME, hf:ORG/NAME, or one whose weights are given; or
    several, each of which gets the flags below in the same order. Left out where no method learns from one."""

    def __post_init__(self) -> None:
        if self.teacher is None:
            super(Teachers, self).__post_init__()
        else:
            super().__post_init__()
