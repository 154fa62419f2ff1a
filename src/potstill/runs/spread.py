"""Values of several seeds, and how they are written."""

from dataclasses import dataclass
from math import isfinite, nan
from statistics import mean, stdev
from typing import TypedDict


class PlainSpread(TypedDict):
    """A `Spread` for JSON."""

    mean: float
    std: float | None
    values: list[float]


@dataclass(frozen=True)
class Spread:
    """One value or more.

    >>> str(Spread((80.0, 82.0))), str(Spread((80.0,)))
    ('81.00 ± 1.41', '80.00')
    """

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Their mean."""
        return mean(self.values)

    @property
    def std(self) -> float | None:
        """The standard deviation of the sample; None for one value, which has no spread; nan if one is not finite."""
        if len(self.values) == 1:
            return None
        return stdev(self.values) if all(map(isfinite, self.values)) else nan

    def text(self, digits: int = 2) -> str:
        """Mean ± standard deviation."""
        return f"{self.mean:,.{digits}f}" + ("" if self.std is None else f" ± {self.std:,.{digits}f}")

    def __str__(self) -> str:
        return self.text()

    def plain(self) -> PlainSpread:
        """For JSON."""
        return {"mean": self.mean, "std": self.std, "values": list(self.values)}
