"""What each row of a table gains over its baseline, seed by seed, and the verdict on it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

from potstill.errors import unknown
from potstill.statistics import Judged, Paired, judge

if TYPE_CHECKING:
    from potstill.tables.results import Result
    from potstill.tables.row import Row


class PlainGain(TypedDict):
    """A `Gain` for JSON; ``low`` and ``high`` are the ends of the interval of 95 %, ``trouble`` why it has none."""

    baseline: str
    seeds: list[int]
    differences: list[float]
    mean: float | None
    low: float | None
    high: float | None
    p: float | None
    p_holm: float | None
    verdict: str
    further_seeds: int | None
    trouble: str | None


@dataclass(frozen=True)
class Gain:
    """What a row gains over its baseline after the last epoch, and the verdict on it."""

    baseline: str
    judged: Judged

    def text(self, digits: int) -> str:
        """Mean and interval, as far as there are any."""
        pair = self.judged.paired
        ends = pair.interval()
        mean = "-" if pair.mean is None else f"{pair.mean:+.{digits}f}"
        return mean + ("" if ends is None else f" ({ends[0]:+.{digits}f} to {ends[1]:+.{digits}f})")

    def plain(self) -> PlainGain:
        """For JSON."""
        pair = self.judged.paired
        low, high = pair.interval() or (None, None)
        return {
            "baseline": self.baseline,
            "seeds": list(pair.seeds),
            "differences": list(pair.differences),
            "mean": pair.mean,
            "low": low,
            "high": high,
            "p": pair.probability,
            "p_holm": self.judged.adjusted,
            "verdict": str(self.judged.verdict),
            "further_seeds": self.judged.further,
            "trouble": pair.trouble or None,
        }


def gains(rows: Sequence["Row"], results: Sequence["Result"]) -> dict[str, Gain]:
    """The gain of each row that has a baseline and a finished run, by its name.

    Holm's correction is over the rows that have one baseline: the methods that are tried on one student. A row that is
    measured by something else than its baseline has no gain.

    Raises:
        BadInput: the baseline of a row is no row.
    """
    names = [row.name for row in rows]
    there = {result.row.name: result for result in results}
    found: dict[str, Gain] = {}
    for baseline in dict.fromkeys(row.baseline for row in rows if row.baseline is not None):
        if baseline not in names:
            raise unknown("baseline", baseline, names)
        alone = there.get(baseline)
        reached = {} if alone is None else alone.reached
        family = [result for result in results if result.row.baseline == baseline and result.reached]
        family = [one for one in family if alone is None or alone.measure in (None, one.measure)]
        judged = judge([Paired.of(one.reached, reached) for one in family])
        found |= {one.row.name: Gain(baseline, its) for one, its in zip(family, judged, strict=True)}
    return found
