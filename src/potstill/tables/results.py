"""What the runs of a table measured: means, spreads and gains, beside the published numbers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from pathlib import Path
from typing import TypedDict

from potstill.errors import BadInput, unknown
from potstill.runs.headline import headline, heads, value_of
from potstill.runs.names import SUMMARY
from potstill.runs.reading import read_config, read_summary
from potstill.runs.schema import Learner
from potstill.runs.spread import PlainSpread, Spread
from potstill.tables.columns import COLUMNS, COSTS, Column
from potstill.tables.gains import Gain, PlainGain, gains
from potstill.tables.plan import Run
from potstill.tables.published import Published
from potstill.tables.row import Row


class PlainQuote(TypedDict):
    """A published number, for JSON; ``difference``: ours minus it."""

    value: float
    source: str
    protocol: str
    url: str
    difference: float | None


class PlainResult(TypedDict):
    """A `Result` for JSON."""

    row: str
    seeds: list[int]
    parameters: int | None
    last: PlainSpread | None
    best: PlainSpread | None
    gain: PlainGain | None
    columns: dict[str, PlainSpread | None]
    times_baseline: dict[str, float]
    published: list[PlainQuote]
    problems: list[str]


@dataclass(frozen=True)
class Result:
    """A row's runs, as far as they are finished.

    Args:
        row: which.
        seeds: of the finished runs.
        folders: theirs.
        parameters: of the network that counts; None as long as nothing is finished.
        measure: the name of the number that heads the runs' summaries; None as long as nothing is measured.
        last: its value after the last epoch, for each seed.
        best: in the best epoch.
        commits: the package's, of each run.
        problems: why runs are missing.
        reached: the value of ``measure`` after the last epoch, by seed.
        columns: what further columns tell; None where no run has recorded it.
        gain: over the row's baseline; None where there is nothing to compare.
        times_baseline: what it costs, as so many times what the baseline does; of the columns that tell costs.
    """

    row: Row
    seeds: tuple[int, ...]
    folders: tuple[Path, ...]
    parameters: int | None
    measure: str | None
    last: Spread | None
    best: Spread | None
    commits: tuple[str, ...]
    problems: tuple[str, ...]
    reached: Mapping[int, float] = field(default_factory=dict)
    columns: Mapping[Column, Spread | None] = field(default_factory=dict)
    gain: Gain | None = None
    times_baseline: Mapping[Column, float] = field(default_factory=dict)

    def difference(self, quote: Published) -> float | None:
        """Ours minus theirs, in points, each measured in the same epoch; None as long as nothing is finished."""
        ours = self.best if quote.is_best_epoch else self.last
        return None if ours is None else ours.mean - quote.value

    def plain(self) -> PlainResult:
        """For JSON."""
        published: list[PlainQuote] = [
            {
                "value": quote.value,
                "source": quote.source,
                "protocol": quote.protocol,
                "url": quote.url,
                "difference": self.difference(quote),
            }
            for quote in self.row.published
        ]
        return {
            "row": self.row.name,
            "seeds": list(self.seeds),
            "parameters": self.parameters,
            "last": None if self.last is None else self.last.plain(),
            "best": None if self.best is None else self.best.plain(),
            "gain": None if self.gain is None else self.gain.plain(),
            "columns": {name: None if spread is None else spread.plain() for name, spread in self.columns.items()},
            "times_baseline": {str(name): times for name, times in self.times_baseline.items()},
            "published": published,
            "problems": list(self.problems),
        }


def collect(
    rows: Sequence[Row], runs: Sequence[Run], failures: Mapping[str, str], columns: Sequence[Column] = ()
) -> list[Result]:
    """The result of each row that has runs, in the order of the rows; with these further ``columns``.

    Raises:
        BadInput: a run is damaged or gone, or a row's baseline is no row.
    """
    results = []
    for row in rows:
        own = [run for run in runs if run.row.folder == row.folder]
        if own:
            finished = [run for run in own if run.is_finished()]
            problems = tuple(dict.fromkeys(failures[run.name] for run in own if run.name in failures))
            results.append(_result(row, sorted(finished, key=lambda run: run.seed), problems, columns))
    found = gains(rows, results)
    there = {result.row.name: result for result in results}
    return [
        replace(one, gain=found.get(one.row.name), times_baseline=_times(one, there.get(one.row.baseline or "")))
        for one in results
    ]


def _times(result: Result, baseline: Result | None) -> dict[Column, float]:
    """What a row costs, as so many times what its baseline does: ratios of means."""
    if baseline is None:
        return {}
    pairs = {name: (result.columns.get(name), baseline.columns.get(name)) for name in COSTS}
    return {name: one.mean / other.mean for name, (one, other) in pairs.items() if one and other and other.mean}


def _result(row: Row, runs: Sequence[Run], problems: tuple[str, ...], columns: Sequence[Column]) -> Result:
    chosen = {run.seed: _chosen(row, run.folder) for run in runs}
    learners = [learner for _, learner in chosen.values()]
    measure = next(iter(heads(learner["last"]["test"] for learner in learners)), None)
    last = {seed: headline(learner["last"]["test"]) for seed, (_, learner) in chosen.items()}
    configs = [read_config(run.folder) for run in runs]
    return Result(
        row,
        seeds=tuple(run.seed for run in runs),
        folders=tuple(run.folder for run in runs),
        parameters=learners[0].get("parameters") if learners else None,
        measure=measure,
        last=_spread(value_of(learner["last"]["test"]) for learner in learners),
        best=_spread(value_of(learner["best"]["test"]) for learner in learners),
        commits=tuple(config.get("commit") or "unknown" for config in configs),
        problems=problems,
        reached={seed: found[1] for seed, found in last.items() if found is not None and found[0] == measure},
        columns={
            name: _spread(COLUMNS[name].read(run.folder, chosen[run.seed][0]) for run in runs) for name in columns
        },
    )


def _spread(values: Iterable[float | None]) -> Spread | None:
    known = tuple(value for value in values if value is not None)
    return Spread(known) if known else None


def _chosen(row: Row, folder: Path) -> tuple[str, Learner]:
    """The network that counts, and what was measured of it: of several, the one that did best in its best epoch."""
    summary = read_summary(folder)
    if summary is None:
        raise BadInput(f"{folder} holds no finished run any more")
    learners = summary["learners"]
    if missing := [name for name in row.learners if name not in learners]:
        raise unknown(f"learner in {folder / SUMMARY}", missing[0], learners)

    def value(name: str) -> float:
        found = value_of(learners[name]["best"]["test"])
        return -inf if found is None else found

    name = max(row.learners, key=value)
    return name, learners[name]
