"""What each row gains over its baseline, seed by seed, and the verdict on it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from potstill.report.markup import Html, name, note, section, table
from potstill.report.rows import ReportRow, baseline
from potstill.runs.headline import digits, title, unit
from potstill.runs.same_run import NOT_COMPARED, SEED
from potstill.statistics import LEVEL, Judged, Paired, Verdict, judge
from potstill.text import in_html

OF_METHODS = frozenset({"network", "student", "terms", "weights", "teacher_engine"})
"""Arguments in which a method and its baseline may differ: what else they share, they must have alike."""
SIGNS = {Verdict.BETTER: "▲", Verdict.WORSE: "▼", Verdict.UNDECIDED: "○"}
NOTE = f"""Each row minus its baseline, after the last epoch, in runs of the same seeds: the mean difference, with its
{100 * (1 - LEVEL):g} % interval by Student's t, each row by itself; rings are seeds. BETTER or WORSE: p is
{100 * LEVEL:g} % or less after Holm's correction over the rows with one baseline. More seeds: as many as would
decide, if mean and spread stay as they are."""


@dataclass(frozen=True)
class RowGain:
    """What a row gains over its baseline, both by their numbers on the page."""

    row: int
    baseline: int
    judged: Judged

    def plain(self) -> dict[str, Any]:
        """What the forest plot is drawn from."""
        pair = self.judged.paired
        return {
            "row": self.row,
            "baseline": self.baseline,
            "mean": pair.mean,
            "interval": pair.interval(),
            "differences": [[seed, one] for seed, one in zip(pair.seeds, pair.differences, strict=True)],
            "verdict": self.judged.verdict,
            "said": said(self.judged),
        }


def row_gains(rows: Sequence[ReportRow]) -> list[RowGain]:
    """The gain of each row that has a baseline, both measured by the same; as in a table, Holm's correction is over the
    rows of one baseline.

    Where baselines were told, these alone count. One that was found, the same network alone on the same data, counts if
    it was trained alike.
    """
    told = any(row.against is not None for row in rows)
    families: dict[int, list[ReportRow]] = {}
    for row in rows:
        alone = baseline(row, rows)
        if alone is None or alone.measure != row.measure or not row.reached:
            continue
        if row.against is not None or (not told and unlike(row, alone) is None):
            families.setdefault(rows.index(alone), []).append(row)
    found = []
    for k, family in families.items():
        judged = judge([Paired.of(row.reached, rows[k].reached) for row in family])
        found += [RowGain(rows.index(row), k, one) for row, one in zip(family, judged, strict=True)]
    return sorted(found, key=lambda gain: gain.row)


def unlike(row: ReportRow, alone: ReportRow) -> str | None:
    """The first setting in which a row was trained otherwise than the network alone; None if it was trained alike."""
    one, other = (each.runs[0].config["arguments"] for each in (row, alone))
    if one.get("student_weights", one.get("weights")) != other.get("weights"):
        return "weights"
    shared = one.keys() & other.keys() - NOT_COMPARED - SEED - OF_METHODS
    return min((key for key in shared if one[key] != other[key]), default=None)


def said(judged: Judged) -> str:
    """A verdict with its sign, so that no colour is needed."""
    return f"{SIGNS[judged.verdict]} {judged}"


def gains_section(rows: Sequence[ReportRow], gains: Sequence[RowGain]) -> str:
    """A forest plot and its numbers as a table; nothing where no row has a baseline."""
    if not gains:
        return ""
    interval = f"{100 * (1 - LEVEL):g} % interval"
    head = ("row", "verdict", f"gain{_points(rows, gains)}", interval, "p, Holm", "seeds", "over")
    plot = '<div class="chart" id="forest-chart"></div>'
    content = plot + table(head, [_cells(rows, gain) for gain in gains]) + note(in_html(" ".join(NOTE.split())))
    return section("gains", "What helps", content)


def _cells(rows: Sequence[ReportRow], gain: RowGain) -> list[str]:
    pair, measure = gain.judged.paired, rows[gain.row].measure
    places, ends, p = digits(measure or ""), pair.interval(), gain.judged.adjusted
    return [
        name(gain.row, rows[gain.row].label),
        Html(f'<span class="{gain.judged.verdict.lower()}">{in_html(said(gain.judged))}</span>'),
        "-" if pair.mean is None else f"{pair.mean:+.{places}f}",
        "-" if ends is None else f"{ends[0]:+.{places}f} to {ends[1]:+.{places}f}",
        "-" if p is None else f"{p:.2g}",
        str(len(pair.seeds)),
        name(gain.baseline, rows[gain.baseline].label),
    ]


def _points(rows: Sequence[ReportRow], gains: Sequence[RowGain]) -> str:
    """What gains are in: points of what is in percent."""
    measures = {rows[gain.row].measure or "" for gain in gains}
    (one, *others) = sorted(measures)
    if others:
        return ""
    return ", points" if unit(one) == "%" else f", {title(one)}"
