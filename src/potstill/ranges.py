"""The ranges of numbers that arguments may have, as annotations: ``temperature: Temperature = 4.0``; see `checked`."""

from dataclasses import dataclass
from typing import Annotated, Any

from potstill.errors import BadInput, shown

LARGEST = 1e30  # of any number: float32 holds it, and its product with the value of a usual loss
MOST_DIGITS = 9
SMALLEST = 1e-30  # of what must be positive: float32 tells it from 0, and divides by it


@dataclass(frozen=True)
class Range:
    """The numbers from ``least`` to ``most``, both included.

    >>> Range(1, 9).problem(0), Range(1, 9).problem(9), Range(SMALLEST, 1).problem(-2.5)
    ('must be 1 or more, not 0', None, 'must be positive, not -2.5')
    """

    least: float
    most: float = LARGEST

    def problem(self, value: Any) -> str | None:
        """What is wrong with a number; None if nothing is. It names the nearest that is in the range."""
        if value < self.least:
            if value <= 0 and self.least == SMALLEST:
                return f"must be positive, not {shown(value)}"
            return f"must be {_plain(self.least)} or more, not {shown(value)}"
        return f"must be {_plain(self.most)} or less, not {shown(value)}" if value > self.most else None


Positive = Annotated[float, Range(SMALLEST)]
NotNegative = Annotated[float, Range(0)]
Fraction = Annotated[float, Range(0, 1)]
Points = Annotated[float, Range(0, 100)]
"""Of an accuracy in percent."""
Share = Annotated[float, Range(SMALLEST, 1)]
"""A fraction above 0."""
Momentum = Annotated[float, Range(0, 0.9999)]
"""What is kept of the past: of 1 nothing new would count."""
Epsilon = Annotated[float, Range(SMALLEST, 1)]
"""What guards a division."""
Temperature = Annotated[float, Range(1e-3, 1e4)]
"""Logits of 10,000 divided by it, and its square times a loss, fit into float32."""
Power = Annotated[float, Range(1, 8)]
"""Below 1 the slope at 0 is infinite, and above 8 float32 cannot hold the power of a usual activation."""
Count = Annotated[int, Range(1, 2**31 - 1)]
Multiple = Annotated[float, Range(SMALLEST, 4)]
"""Of another width: more take gigabytes."""
Width = Annotated[int, Range(1, 2**14)]
"""Channels or features of something learned: more take gigabytes."""
Depth = Annotated[int, Range(1, 2000)]
"""Layers of a network: the deepest that was published has 1202."""
Wider = Annotated[float, Range(0, 64)]
"""Times the usual width of a network: the widest that was published has 20."""
Layers = Annotated[int, Range(1, 1000)]
ProjectorLayers = Annotated[int, Range(1, 8)]
"""Linear layers of a projector: one is a linear map, several are an MLP."""
Classes = Annotated[int, Range(1, 10**6)]
Epochs = Annotated[int, Range(1, 10**6)]
Side = Annotated[int, Range(1, 2**14)]
"""Height or width of images in pixels."""
Seed = Annotated[int, Range(0, 2**63 - 1)]
Number = Annotated[float, Range(-LARGEST)]
Index = Annotated[int, Range(0, 2**31 - 1)]


def whole_number(digits: str, name: str) -> int:
    """The number that digits in a name spell; Python itself refuses thousands of them.

    Raises:
        BadInput: it has more than nine.

    >>> whole_number("020", "network 'resnet020'")
    20
    """
    if len(digits) > MOST_DIGITS:
        raise BadInput(f"{name}: a number of {len(digits):,} digits is too large, {MOST_DIGITS} are the most")
    return int(digits)


def _plain(number: float) -> str:
    return f"{number:,}" if isinstance(number, int) else f"{number:g}"
