"""Runs of a table that are trained side by side in one process, since they share a teacher, images and a seed."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from potstill.tables.jobs import Job, Watcher

BOOT = 3  # words that start a run of ours: python -m potstill


@dataclass(frozen=True)
class Group:
    """Jobs that one process does, and the job that this is."""

    members: tuple[Job, ...]
    job: Job

    def failures(self, failure: str | None) -> dict[str, str]:
        """Why those of its members failed that did, by their names, if the process ended like that."""
        if failure is None:
            return {}
        try:
            codes = json.loads(self.job.last_line())["codes"]
        except (ValueError, KeyError, TypeError):  # it came to no end of its own
            return {member.name: failure for member in self.members}
        failed = zip(self.members, codes, strict=True)
        return {member.name: member.last_line() or f"exit code {code}" for member, code in failed if code}


def grouped(jobs: Sequence[Job], largest: int) -> list[Group]:
    """The jobs in groups of those that share something, of ``largest`` at most; in order, each at its first member's.

    >>> from pathlib import Path
    >>> def job(name, shares):
    ...     return Job(name, ("python", "-m", "potstill", "distill"), Path(f"{name}.log"), shares=shares)
    >>> found = grouped([job("a", "x"), job("b", None), job("c", "x"), job("d", "x")], largest=2)
    >>> [[member.name for member in group.members] for group in found]
    [['a', 'c'], ['b'], ['d']]
    """
    found: list[list[Job]] = []
    for job in jobs:
        fitting = (group for group in found if job.shares is not None and group[0].shares == job.shares)
        group = next((group for group in fitting if len(group) < largest), None)
        if group is None:
            found.append([job])
        else:
            group.append(job)
    return [Group(tuple(members), _job_of(members)) for members in found]


def _job_of(members: Sequence[Job]) -> Job:
    """One job that does them all; of one, itself."""
    first = members[0]
    if len(members) == 1:
        return first
    parts = [{"words": member.command[BOOT:], "log": str(member.log)} for member in members]
    command = (sys.executable, "-m", "potstill.side_by_side", json.dumps(parts))
    name = " + ".join(member.name for member in members)
    return Job(name, command, first.log.with_suffix(".side-by-side.log"), first.needs)


class ByMember:
    """Tells a watcher of jobs what happens to those of groups.

    Args:
        watcher: who wants to know of single jobs.
        groups: what runs.
    """

    def __init__(self, watcher: Watcher, groups: Sequence[Group]) -> None:
        self.watcher, self.groups = watcher, {group.job.name: group for group in groups}

    def started(self, job: Job, host: str | None) -> None:
        """All of a group have been started."""
        for member in self.groups[job.name].members:
            self.watcher.started(member, host)

    def lost(self, job: Job, why: str) -> None:
        """All of a group are started again."""
        for member in self.groups[job.name].members:
            self.watcher.lost(member, why)

    def ended(self, job: Job, failure: str | None) -> None:
        """Each has ended in its own way."""
        group = self.groups[job.name]
        failures = group.failures(failure)
        for member in group.members:
            self.watcher.ended(member, failures.get(member.name))

    def tick(self) -> None:
        """Some time has passed."""
        self.watcher.tick()
