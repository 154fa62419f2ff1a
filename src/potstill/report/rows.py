"""Rows: the seeds of one configuration together."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from potstill.errors import BadInput
from potstill.report.labels import configuration, labels
from potstill.report.runs import Run, read_run


@dataclass(frozen=True, eq=False)
class Row:
    """One learner of the runs of one configuration; ``label`` is unique in its report."""

    label: str
    learner: str
    runs: list[Run]

    @property
    def counted(self) -> list[Run]:
        """The runs whose figures are averaged: the finished ones; all of them only where none is."""
        return [run for run in self.runs if run.summary is not None] or self.runs

    @property
    def spec(self) -> str | None:
        """What its network was made from; None if it was made by hand."""
        return self.runs[0].spec(self.learner)

    @property
    def data(self) -> str:
        """The data set, by its name."""
        return str((self.runs[0].summary or self.runs[0].config["arguments"]).get("data", "unknown data"))

    @property
    def alone(self) -> bool:
        """Whether nobody helped it."""
        return str(self.runs[0].config["recipe"]) == "supervised"


def baseline(row: Row, rows: Sequence[Row]) -> Row | None:
    """The row in which the same network learned the same data alone; None for a row that is alone itself."""
    if row.alone or row.spec is None:
        return None
    return next((r for r in rows if r.alone and (r.spec, r.data) == (row.spec, row.data)), None)


def given_rows(
    named: Mapping[str, Sequence[Path]], learners: Mapping[str, str] | None = None
) -> tuple[list[Row], dict[str, str]]:
    """A row for each name, of its learner in ``learners`` or the runs' first; and why folders were left out."""
    rows: list[Row] = []
    left_out: dict[str, str] = {}
    for name, folders in named.items():
        runs, broken = _read(folders)
        left_out |= broken
        if not runs:
            continue
        learner = (learners or {}).get(name, runs[0].learners[0])
        left_out |= {str(run.folder): f"{learner} does not learn there" for run in runs if learner not in run.learners}
        rows.append(Row(name, learner, [run for run in runs if learner in run.learners]))
    return rows, left_out


def found_rows(folders: Sequence[Path]) -> tuple[list[Row], dict[str, str]]:
    """Rows made of runs that differ in nothing but the seed, each learner its own; and why folders were left out.

    A network alone comes before the rows in which it was helped.
    """
    runs, left_out = _read(sorted(folders, key=lambda folder: natural(str(folder))))
    groups: dict[str, list[Run]] = {}
    for run in runs:
        same = json.dumps([configuration(run.config), run.learners], sort_keys=True)
        group = groups.get(same, [])
        if stage := run.config["arguments"].get("stage"):
            left_out[str(run.folder)] = f"stage {stage!r} of a run that has not come further"
        elif copied := next((other for other in group if other.history == run.history), None):
            left_out[str(run.folder)] = f"a copy of {copied.folder}"
        elif any(other.seed == run.seed for other in group):
            groups[f"{same} {run.folder}"] = [run]  # the same again with another result: no further seed
        else:
            groups[same] = [*group, run]
    names = labels([group[0].config for group in groups.values()], [group[0].folder.name for group in groups.values()])
    rows = [
        Row(f"{name}: {learner}" if len(group[0].learners) > 1 else name, learner, group)
        for name, group in zip(names, groups.values(), strict=True)
        for learner in group[0].learners
    ]
    return _in_order(rows), left_out


def natural(text: str) -> list[tuple[int, str]]:
    """A key that sorts numbers in texts as numbers.

    >>> sorted(["seed-10", "seed-9"], key=natural)
    ['seed-9', 'seed-10']
    """
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", text)]


def _in_order(rows: list[Row]) -> list[Row]:
    """Each baseline before the first row that it is the baseline of; the rest as they are."""
    ordered: list[Row] = []
    for row in sorted(rows, key=lambda row: row.alone):
        alone = baseline(row, rows)
        ordered += [new for new in (alone, row) if new is not None and new not in ordered]
    return ordered


def _read(folders: Sequence[Path]) -> tuple[list[Run], dict[str, str]]:
    runs, left_out = [], {}
    for folder in folders:
        try:
            runs.append(read_run(folder))
        except BadInput as error:
            left_out[str(folder)] = str(error)
        else:
            if reason := runs[-1].insight_missing:
                left_out[f"{folder / 'insight.json'}"] = reason
    return runs, left_out
