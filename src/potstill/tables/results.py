"""What the runs of a table measured: means and spreads beside the published numbers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from potstill.tables.plan import Run, read_json
from potstill.tables.published import Published
from potstill.tables.row import Row


@dataclass(frozen=True)
class Spread:
    """Values of several seeds."""

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Their mean."""
        return mean(self.values)

    @property
    def std(self) -> float | None:
        """The standard deviation of the sample; None for one value, which has no spread."""
        return stdev(self.values) if len(self.values) > 1 else None

    def __str__(self) -> str:
        return f"{self.mean:.2f}" if self.std is None else f"{self.mean:.2f} ± {self.std:.2f}"

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return {"mean": self.mean, "std": self.std, "values": list(self.values)}


@dataclass(frozen=True)
class Result:
    """A row's runs, as far as they are finished.

    Args:
        row: which.
        seeds: of the finished runs.
        folders: theirs.
        parameters: of the network that counts; None as long as nothing is finished.
        last: top-1 in percent after the last epoch, one value a seed.
        best: in the best epoch.
        commits: the package's, of each run.
        problems: why runs are missing.
    """

    row: Row
    seeds: tuple[int, ...]
    folders: tuple[Path, ...]
    parameters: int | None
    last: Spread | None
    best: Spread | None
    commits: tuple[str, ...]
    problems: tuple[str, ...]

    def difference(self, quote: Published) -> float | None:
        """Ours minus theirs, in points, each measured in the same epoch; None as long as nothing is finished."""
        ours = self.best if quote.is_best_epoch else self.last
        return None if ours is None else ours.mean - quote.value

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        published = [
            {"value": quote.value, "source": quote.source, "protocol": quote.protocol, "url": quote.url}
            | {"difference": self.difference(quote)}
            for quote in self.row.published
        ]
        return {
            "row": self.row.name,
            "seeds": list(self.seeds),
            "parameters": self.parameters,
            "last": self.last and self.last.plain(),
            "best": self.best and self.best.plain(),
            "published": published,
            "problems": list(self.problems),
        }


def collect(rows: Iterable[Row], runs: Sequence[Run], failures: Mapping[str, str]) -> list[Result]:
    """The result of each row that has runs, in the order of the rows."""
    results = []
    for row in rows:
        own = [run for run in runs if run.row.folder == row.folder]
        if own:
            finished = [run for run in own if run.is_finished()]
            problems = tuple(dict.fromkeys(failures[run.name] for run in own if run.name in failures))
            results.append(_result(row, sorted(finished, key=lambda run: run.seed), problems))
    return results


def _result(row: Row, runs: Sequence[Run], problems: tuple[str, ...]) -> Result:
    measured = [_chosen(row, run.folder) for run in runs]
    spreads = {
        which: Spread(tuple(learner[which]["test"]["top1"] for learner in measured)) if measured else None
        for which in ("last", "best")
    }
    configs = [read_json(run.folder / "config.json") for run in runs]
    return Result(
        row,
        seeds=tuple(run.seed for run in runs),
        folders=tuple(run.folder for run in runs),
        parameters=measured[0]["parameters"] if measured else None,
        last=spreads["last"],
        best=spreads["best"],
        commits=tuple(config["commit"] or "unknown" for config in configs),
        problems=problems,
    )


def _chosen(row: Row, folder: Path) -> dict[str, Any]:
    """What was measured of the network that counts: of several, the one of the highest top-1 in its best epoch."""
    learners = read_json(folder / "summary.json")["learners"]
    chosen: dict[str, Any] = max(
        (learners[name] for name in row.learners), key=lambda learner: learner["best"]["test"]["top1"]
    )
    return chosen
