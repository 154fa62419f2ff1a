"""Verdicts on several methods that are compared with one baseline."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from potstill.statistics.holm import holm
from potstill.statistics.paired import LEVEL, Paired

MOST = 1000
"""As many seeds in all are thought of."""


class Verdict(StrEnum):
    """What paired differences say of a method."""

    BETTER = "BETTER"
    WORSE = "WORSE"
    UNDECIDED = "UNDECIDED"


@dataclass(frozen=True)
class Judged:
    """Differences from the baseline, and the verdict on them.

    Args:
        paired: the differences.
        adjusted: their p by Holm's correction over all methods; None where there is no interval.
        verdict: it.
        further: how many more seeds would decide, of the mean and the spread observed so far: about even odds, since
            either may turn out otherwise. None where it is decided, where nothing can be told without an interval, and
            where `MOST` would not do.
    """

    paired: Paired
    adjusted: float | None
    verdict: Verdict
    further: int | None = None

    def __str__(self) -> str:
        if self.verdict is not Verdict.UNDECIDED:
            return str(self.verdict)
        if self.paired.trouble:
            return f"{self.verdict}: {self.paired.trouble}"
        count = f"over {MOST:,}" if self.further is None else f"{self.further:,} more"
        return f"{self.verdict}, {count} seed{'' if self.further == 1 else 's'}"


def judge(methods: Sequence[Paired], level: float = LEVEL) -> list[Judged]:
    """A verdict on each of the methods, so that with a chance of 1 - ``level`` none of the decided ones is wrong.

    Holm's correction counts all methods of two seeds or more. One whose differences are all equal, or are no numbers,
    has no p, stays undecided, and counts as if its p were 1: a spread of 0 in a few runs is no proof of certainty.

    >>> helps = Paired.of({0: 71.0, 1: 72.0, 2: 71.3}, {0: 70.0, 1: 70.9, 2: 70.1})
    >>> nothing = Paired.of({0: 70.1, 1: 70.8, 2: 70.2}, {0: 70.0, 1: 70.9, 2: 70.1})
    >>> [str(found) for found in judge([helps, nothing])]
    ['BETTER', 'UNDECIDED, 46 more seeds']
    """
    tested = [i for i, pair in enumerate(methods) if len(pair.seeds) > 1]
    known = {i: methods[i].probability for i in tested}
    raised = holm([1.0 if p is None else p for p in known.values()])
    adjusted = dict(zip(tested, raised, strict=True))
    decided = {i for i in tested if adjusted[i] <= level}
    # What has this p or less is refused whatever becomes of the other undecided ones.
    enough = level / max(1, len(tested) - len(decided))
    found = []
    for i, pair in enumerate(methods):
        p = None if known.get(i) is None else adjusted[i]
        if i in decided:
            assert pair.mean is not None
            found.append(Judged(pair, p, Verdict.BETTER if pair.mean > 0 else Verdict.WORSE))
        else:
            found.append(Judged(pair, p, Verdict.UNDECIDED, _further(pair, enough)))
    return found


def _further(pair: Paired, level: float) -> int | None:
    """How many more seeds would bring p to ``level``, which falls with each; None if `MOST` in all do not."""
    if pair.probability is None:
        return None

    def decides(seeds: int) -> bool:
        p = pair.probability_with(seeds)
        return p is not None and p <= level

    here = len(pair.seeds)
    more = bisect_left(range(here, MOST + 1), True, key=decides)
    return more if here + more <= MOST else None
