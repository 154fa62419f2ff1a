"""Rows: the seeds of one configuration together."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from potstill.errors import BadInput
from potstill.report.labels import labels
from potstill.runs.headline import headline, heads
from potstill.runs.recorded import RecordedRun, read_run
from potstill.runs.same_run import SEED, asked, difference
from potstill.runs.spread import Spread


@dataclass(frozen=True, eq=False)
class ReportRow:
    """One learner of the runs of one configuration; ``label`` is unique in its report.

    ``against`` is the label of its baseline, where that was told.
    """

    label: str
    learner: str
    runs: list[RecordedRun]
    against: str | None = None

    @property
    def counted(self) -> list[RecordedRun]:
        """The runs whose figures are averaged: the finished ones; all of them only where none is."""
        return [run for run in self.runs if run.summary is not None] or self.runs

    @property
    def spec(self) -> str | None:
        """What its network was made from; None if it was made by hand."""
        return self.runs[0].spec(self.learner)

    @property
    def data(self) -> str:
        """The data set, by its name."""
        run = self.runs[0]
        return run.summary["data"] if run.summary else str(run.config["arguments"].get("data") or "unknown data")

    @property
    def measure(self) -> str | None:
        """The name of the number that heads its runs' summaries; None if it was not measured."""
        return next(iter(heads(run.measured(self.learner, "last") for run in self.counted)), None)

    def spread(self, which: str) -> Spread | None:
        """That number in the ``last`` or the ``best`` epochs of its runs."""
        found = [headline(run.measured(self.learner, which)) for run in self.counted]
        values = tuple(one[1] for one in found if one is not None and one[0] == self.measure)
        return Spread(values) if values else None

    @property
    def reached(self) -> dict[int, float]:
        """That number after the last epoch of its finished runs, by their seeds."""
        done = {run.seed: headline(run.measured(self.learner, "last")) for run in self.runs if run.summary is not None}
        return {s: one[1] for s, one in done.items() if s is not None and one is not None and one[0] == self.measure}

    def cost(self, what: str) -> int | None:
        """Its ``parameters`` or ``macs``; None where its runs did not count them."""
        return next((number for run in self.runs if (number := run.cost(self.learner, what)) is not None), None)

    @property
    def alone(self) -> bool:
        """Whether nobody helped it."""
        return self.runs[0].config["recipe"] == "supervised"


def baseline(row: ReportRow, rows: Sequence[ReportRow]) -> ReportRow | None:
    """The row that was told, or in which the same network learned the same data alone; None where there is none."""
    if row.against is not None:
        return next((r for r in rows if r.label == row.against), None)
    if row.alone or row.spec is None:
        return None
    return next((r for r in rows if r.alone and (r.spec, r.data) == (row.spec, row.data)), None)


def given_rows(
    named: Mapping[str, Sequence[Path]],
    learners: Mapping[str, str] | None = None,
    baselines: Mapping[str, str] | None = None,
) -> tuple[list[ReportRow], dict[str, str]]:
    """A row for each name, of its learner in ``learners`` or the runs' first; and why folders were left out.

    ``baselines`` are the names of the rows that others are compared with.
    """
    rows: list[ReportRow] = []
    left_out: dict[str, str] = {}
    for name, folders in named.items():
        runs, broken = _read(folders)
        left_out |= broken
        if not runs:
            continue
        learner = (learners or {}).get(name, runs[0].learners[0])
        left_out |= {str(run.folder): f"{learner} does not learn there" for run in runs if learner not in run.learners}
        against = (baselines or {}).get(name)
        rows.append(ReportRow(name, learner, [run for run in runs if learner in run.learners], against))
    return rows, left_out


def found_rows(folders: Sequence[Path]) -> tuple[list[ReportRow], dict[str, str]]:
    """Rows made of runs that differ in nothing but the seed, each learner its own; and why folders were left out.

    A network alone comes before the rows in which it was helped.
    """
    runs, left_out = _read(sorted(folders, key=lambda folder: natural(str(folder))))
    groups: list[list[RecordedRun]] = []
    for run in runs:
        kin = [group for group in groups if _of_one_row(group[0], run)]
        if stage := run.config["arguments"].get("stage"):
            left_out[str(run.folder)] = f"stage {stage!r} of a run that has not come further"
        elif copied := next((other for group in kin for other in group if other.history == run.history), None):
            left_out[str(run.folder)] = f"a copy of {copied.folder}"
        elif not kin or any(other.seed == run.seed for other in kin[0]):
            groups.append([run])  # also the same again with another result: no further seed
        else:
            kin[0].append(run)
    names = labels([group[0].config for group in groups], [group[0].folder.name for group in groups])
    rows = [
        ReportRow(f"{name}: {learner}" if len(group[0].learners) > 1 else name, learner, group)
        for name, group in zip(names, groups, strict=True)
        for learner in group[0].learners
    ]
    return _in_order(rows), left_out


def _of_one_row(one: RecordedRun, other: RecordedRun) -> bool:
    """Whether two runs differ in nothing but the seed."""
    if one.measures != other.measures:
        return False
    return difference(asked(one.config), asked(other.config), but=SEED) is None


def natural(text: str) -> list[tuple[int, str]]:
    """A key that sorts numbers in texts as numbers.

    >>> sorted(["seed-10", "seed-9"], key=natural)
    ['seed-9', 'seed-10']
    """
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", text)]


def _in_order(rows: list[ReportRow]) -> list[ReportRow]:
    """Each baseline before the first row that it is the baseline of; the rest as they are."""
    ordered: list[ReportRow] = []
    for row in sorted(rows, key=lambda row: row.alone):
        alone = baseline(row, rows)
        ordered += [new for new in (alone, row) if new is not None and new not in ordered]
    return ordered


def _read(folders: Sequence[Path]) -> tuple[list[RecordedRun], dict[str, str]]:
    runs, left_out = [], {}
    for folder in folders:
        try:
            runs.append(read_run(folder))
        except BadInput as error:
            left_out[str(folder)] = _inside(folder, str(error))
        else:
            for name, reason in runs[-1].unread.items():
                left_out[str(folder / name)] = _inside(folder, reason)
    return runs, left_out


def _inside(folder: Path, reason: str) -> str:
    """A reason without the path to its folder, which stands beside it; where that lay is nobody's business."""
    return reason.replace(f"{folder}{os.sep}", "")
