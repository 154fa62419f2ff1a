"""What a network sees, in plain values: nothing here needs torch."""

from dataclasses import dataclass

Size = tuple[int, int]
"""Height and width."""


@dataclass(frozen=True)
class Input:
    """The images that a network is made for; None: as they come.

    ``statistics`` are the mean and the standard deviation of each channel, for pixels in 0..1: what an image is
    normalised by. ``size`` is its height and width.

    >>> import potstill as ps
    >>> data = ps.data.load("digits", normalize="imagenet")
    >>> ps.networks.Input(data.statistics, size=data.shape[1:])
    Input(statistics=((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)), size=(8, 8))
    """

    statistics: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    size: Size | None = None
