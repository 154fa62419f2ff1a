"""What a network sees, in plain values: nothing here needs torch."""

from dataclasses import dataclass

Size = tuple[int, int]
"""Height and width."""


@dataclass(frozen=True)
class Input:
    """The images that a network is made for; None: as they come.

    ``statistics`` are the mean and the standard deviation of each channel, for pixels in 0..1: what an image is
    normalised by. ``size`` is its height and width.

    >>> Input(statistics=((0.5, 0.5, 0.5), (0.25, 0.25, 0.25)), size=(224, 224)).size
    (224, 224)
    """

    statistics: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    size: Size | None = None
