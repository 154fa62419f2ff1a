"""What is done to training images beyond the usual: flags of every recipe."""

from dataclasses import dataclass
from typing import Annotated, Literal

from potstill.errors import BadInput
from potstill.home import Expanded
from potstill.ranges import Fraction, NotNegative, Range

Operations = Annotated[int, Range(1, 16)]
Strength = Annotated[int, Range(0, 30)]


@dataclass(frozen=True)
class Augmentation(Expanded):
    """What happens to training images. All of it is done once, before any network sees a batch: student and teacher see
    the same pixels, each normalised as it wants.

    >>> import potstill as ps
    >>> ps.Training("digits", mixup=0.2, cutmix=1.0).mixes
    True
    """

    augment: Literal["usual", "none"] = "usual"
    """Shifts and mirror images as the data set has them (of images in files, random crops), or plain images."""
    randaugment: tuple[Operations, Strength] | None = None
    """RandAugment: so many random operations an image, each of this strength, 0 to 30: 2 9, say."""
    trivial_augment: bool = False
    """TrivialAugment: one random operation an image, of random strength."""
    erase: Fraction = 0.0
    """Random erasing: the probability that a rectangle of an image is set to the mean."""
    mixup: NotNegative = 0.0
    """Mixup: two images in one, in parts drawn from Beta(X, X). With cutmix, each batch takes one of the two."""
    cutmix: NotNegative = 0.0
    """CutMix: a rectangle of another image in each, of a size drawn from Beta(X, X)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.randaugment is not None and self.trivial_augment:
            raise BadInput("--randaugment and --trivial-augment are two ways to choose operations: give one of them")

    @property
    def mixes(self) -> bool:
        """Whether an image may become a mixture of two, whose label is one of two classes' probabilities."""
        return self.mixup > 0 or self.cutmix > 0
