"""``table --jobs auto``: how many runs at once, and how many side by side, found by parts of the very runs.

Nothing but trying tells: it depends on networks and losses, on cores, caches and memory, and on who else is at work.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from potstill.cores import cores
from potstill.runs.reading import read_history
from potstill.say import say
from potstill.tables.groups import grouped
from potstill.tables.jobs import Place, Silent, run_jobs
from potstill.tables.plan import ANSWERS, Run
from potstill.tables.row import Table
from potstill.tables.runners.gpus import chosen, gpus_here
from potstill.tables.runners.local import local
from potstill.tables.sweep import Sweep

SECONDS = 5.0
"""How long the steps of a trial last, about: starting its processes takes as long again."""
LONGEST = 100
"""Epochs of a trial, each of a few batches."""
GAIN = 1.05
"""How many times as fast something must be to be worth it: a trial's speed is known to a few percent."""


@dataclass(frozen=True)
class Way:
    """How runs are run on this machine.

    >>> str(Way(2, 3, "off"))
    '2 at once, each 3 side by side, without kept answers'
    """

    jobs: int
    side_by_side: int = 1
    cache: str = "auto"

    def __str__(self) -> str:
        side = "" if self.side_by_side == 1 else f", each {self.side_by_side} side by side"
        return f"{self.jobs} at once{side}{', without kept answers' if self.cache == 'off' else ''}"


def run_missing(
    sweep: Sweep, name: str, table: Table, folder: Path, device: str, missing: Sequence[Run], present: int
) -> dict[str, str]:
    """Run what is missing of a table; with ``--jobs auto`` as is found fastest, teachers before who learns from them.

    Args:
        sweep: where to run it; its ``side_by_side`` is kept if it is given.
        name: the table's.
        table: it.
        folder: its folder.
        device: that runs are told to use.
        missing: the runs.
        present: how many runs are there.

    Returns:
        Why those failed that did, by their names.
    """
    if sweep.jobs != "auto" or sweep.collect:
        return sweep.run(name, folder, device, [run.job() for run in missing], present)
    replace(sweep, jobs=None).way(name, folder, device)  # refuses what is not there before anything is measured
    teachers = {run.job().needs for run in missing}
    phases = [[run for run in missing if (run.name in teachers) == first] for first in (True, False)]
    failures: dict[str, str] = {}
    for phase in phases:
        needs = {run.name: run.job().needs for run in phase}
        failures |= {
            run: f"not run: its teacher {teacher} failed: {failures[teacher]}"
            for run, teacher in needs.items()
            if teacher in failures
        }
        ready = [run for run in phase if run.name not in failures]
        if not ready:
            continue
        way = measure(sweep, table, folder, ready)
        settled = replace(sweep, jobs=way.jobs, side_by_side=way.side_by_side)
        failures |= settled.run(name, folder, device, [replace(run, cache=way.cache).job() for run in ready], present)
        present += sum(run.name not in failures for run in ready)
    return failures


def measure(sweep: Sweep, table: Table, folder: Path, runs: Sequence[Run]) -> Way:
    """The fastest way to run these; said, with what was measured."""
    gpus = [] if sweep.gpus is None else chosen(sweep.gpus, gpus_here())
    first = Way(len(gpus) or 1, sweep.side_by_side or 1, runs[0].cache)
    if len(runs) == 1:
        return first
    with _trials(table, folder, runs, gpus) as trials:
        start = trials.with_answers(first)
        if not trials.speed(start):
            say(f"--jobs auto cannot measure: {trials.failure}; runs are run {first}")
            return first
        most = min(len(gpus) * cores() if gpus else cores(), len(runs))
        side = [first.side_by_side] if sweep.side_by_side else [1, *_doubled(1, trials.together)]
        best = _fastest(trials, start, [start.jobs, *_doubled(start.jobs, most)], side, len(runs))
        say(f"--jobs auto: {best}; images a second, of all runs together: {trials.told()}")
    return best


def _doubled(start: int, most: int) -> list[int]:
    """Twice ``start``, four times, and so on, as far as ``most``, which is the last.

    >>> _doubled(1, 6), _doubled(2, 2)
    ([2, 4, 6], [])
    """
    return [] if start >= most else [min(2 * start, most), *_doubled(min(2 * start, most), most)]


def _fastest(trials: "_Trials", start: Way, jobs: Sequence[int], side: Sequence[int], count: int) -> Way:
    """The fastest way for ``count`` runs; more at once are tried as long as that pays, each with more side by side."""
    best = start
    for at_once in jobs:
        here = None
        for together in side:
            if here is not None and at_once * together > count:  # some processes would have nothing to do
                break
            way = replace(start, jobs=at_once, side_by_side=together)
            speed = trials.speed(way)
            if here is not None and speed <= GAIN * trials.speed(here):
                break
            here = way
        assert here is not None
        if here.jobs > best.jobs and trials.speed(here) < GAIN * trials.speed(best):
            break
        best = max(best, here, key=trials.speed)
    return best


@contextmanager
def _trials(table: Table, folder: Path, runs: Sequence[Run], gpus: Sequence[str]) -> "Iterator[_Trials]":
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".measured-", dir=folder, ignore_cleanup_errors=True) as place:
        yield _Trials(table, Path(place), runs, lambda at_once: local(at_once, gpus))


class _Trials:
    """Speeds of ways to run some runs, each measured once.

    Args:
        table: whose runs.
        folder: for the trials' own.
        runs: of these, those are tried that share most.
        places: for that many processes.
    """

    def __init__(
        self, table: Table, folder: Path, runs: Sequence[Run], places: Callable[[int], Sequence[Place]]
    ) -> None:
        self.table, self.folder, self.places = table, folder, places
        keys = [key for key in dict.fromkeys(run.shares() for run in runs) if key is not None]
        shared = [[run for run in runs if run.shares() == key] for key in keys]
        self.runs = max(shared, key=len, default=list(runs))
        self.together = len(self.runs) if shared else 1
        self.epochs, self.count, self.images = 1, 0, 0.0
        self.known: dict[Way, float] = {}
        self.failure = ""

    def speed(self, way: Way) -> float:
        """Images a second of all processes together; 0 if a run failed."""
        if way not in self.known:
            rate = self._try(way)
            if rate and not self.known:  # of a single epoch, which says how long trials may be
                self.epochs = max(2, min(LONGEST, round(SECONDS * rate / self.images)))
                rate = self._try(way)
            self.known[way] = rate
        return self.known[way]

    def with_answers(self, way: Way) -> Way:
        """The way with kept answers of teachers, unless it is slower to find them than to ask the teacher again."""
        if way.cache != "auto" or "teacher" not in self.runs[0].arguments():
            return way
        asking = replace(way, cache="off")
        if not self.speed(asking):
            return way
        self._try(way)  # keeps them
        return way if self.speed(way) * GAIN > self.speed(asking) else asking

    def told(self) -> str:
        """Everything that was measured."""
        return "; ".join(f"{speed:.0f} ({way})" if speed else f"fails ({way})" for way, speed in self.known.items())

    def _try(self, way: Way) -> float:
        self.count += 1
        jobs, folders = [], []
        cache = "off" if way.cache == "off" else f"auto:{self.folder / ANSWERS}"
        for i in range(way.jobs * way.side_by_side):
            run = self.runs[i % len(self.runs)]
            out = self.folder / str(self.count) / str(i)
            job = run.rehearsal(self.table, out, self.epochs, cache)
            jobs.append(replace(job, name=f"{i}: {job.name}"))
            folders.append(replace(run, out=out).folder)
        groups = grouped(jobs, way.side_by_side)
        failures = run_jobs([group.job for group in groups], self.places(way.jobs), Silent())
        if failures:
            self.failure = next(iter(failures.values()))
            return 0.0
        return sum(map(self._speed_of, folders))

    def _speed_of(self, folder: Path) -> float:
        """Images a second, but for the first epoch where there are others."""
        speeds = [(epoch["images_per_second"], epoch["seconds"]) for epoch in read_history(folder)]
        speeds = speeds[1:] or speeds
        images = sum(rate * seconds for rate, seconds in speeds)
        self.images = images / len(speeds)
        return images / sum(seconds for _, seconds in speeds)
