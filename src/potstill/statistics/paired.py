"""Differences of two rows, paired by seed: their mean, its interval, and how unlikely it is by chance.

Student's test of paired differences supposes that they are independent and roughly normal: those of runs that differ in
their seeds are, as far as anybody can see in a handful of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import isfinite, sqrt
from statistics import mean, stdev

from potstill.statistics.student_t import t_quantile, t_two_sided

LEVEL = 0.05
"""Of error: intervals are of 95 %, and as many verdicts hold."""
ROUNDING = 1e-12
"""Differences that are farther apart than this part of the values themselves are so by more than rounding."""


@dataclass(frozen=True)
class Paired:
    """What two rows reached in runs of the same seeds.

    Args:
        seeds: that both have.
        ours: a value for each of them.
        theirs: the values that ours are compared with.

    >>> pair = Paired.of({0: 71.0, 1: 73.0, 2: 72.0}, {0: 70.0, 1: 70.0, 3: 70.0})
    >>> pair.seeds, pair.differences, pair.mean
    ((0, 1), (1.0, 3.0), 2.0)
    """

    seeds: tuple[int, ...]
    ours: tuple[float, ...]
    theirs: tuple[float, ...]

    @classmethod
    def of(cls, ours: Mapping[int, float], theirs: Mapping[int, float]) -> "Paired":
        """From the values by seed; seeds that only one has are left out."""
        seeds = tuple(sorted(ours.keys() & theirs.keys()))
        return cls(seeds, tuple(ours[seed] for seed in seeds), tuple(theirs[seed] for seed in seeds))

    @property
    def differences(self) -> tuple[float, ...]:
        """Ours minus theirs, for each seed."""
        return tuple(one - other for one, other in zip(self.ours, self.theirs, strict=True))

    @cached_property
    def mean(self) -> float | None:
        """Of the differences; None without any, and where one is no finite number."""
        found = self.differences
        return mean(found) if found and all(map(isfinite, found)) else None

    @cached_property
    def trouble(self) -> str:
        """Why the differences have no interval; empty where they have one."""
        if not self.seeds:
            return "no seed that both have"
        if strange := [seed for seed, d in zip(self.seeds, self.differences, strict=True) if not isfinite(d)]:
            return f"seed {strange[0]} has no finite number"
        if len(self.seeds) == 1:
            return "a single seed has no spread"
        apart = max(self.differences) - min(self.differences)
        if apart <= ROUNDING * max(map(abs, self.ours + self.theirs)):
            return f"all {len(self.seeds)} differences are equal, which tells no spread"
        return ""

    @cached_property
    def std(self) -> float | None:
        """The standard deviation of the sample of differences; None where there is no interval."""
        return None if self.trouble else stdev(self.differences)

    @property
    def probability(self) -> float | None:
        """The two-sided p of Student's t; None where there is no interval."""
        return self.probability_with(len(self.seeds))

    def probability_with(self, seeds: int) -> float | None:
        """What `probability` would be with so many seeds, of the mean and the spread that these have."""
        if self.std is None or self.mean is None:
            return None
        return t_two_sided(self.mean * sqrt(seeds) / self.std, seeds - 1)

    def interval(self, level: float = LEVEL) -> tuple[float, float] | None:
        """The ends of the interval that holds the true mean but for a part ``level`` of all cases.

        None where there is no spread to tell it from, see `trouble`.
        """
        if self.std is None or self.mean is None:
            return None
        half = t_quantile(level, len(self.seeds) - 1) * self.std / sqrt(len(self.seeds))
        return self.mean - half, self.mean + half
