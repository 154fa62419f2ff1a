"""Where the runs of a table run, and how many at once; flags of ``potstill table``."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from potstill.checked import Settings
from potstill.errors import BadInput, nearest, shown
from potstill.ranges import Range

if TYPE_CHECKING:
    from potstill.tables.jobs import Job, Place

Way = Callable[["Sequence[Job]", int], dict[str, str]]
"""Runs jobs, or has them run, beside a number of runs that are there: why those failed that did, by their names."""


@dataclass(frozen=True)
class Sweep(Settings):
    """Where the runs of a table run, and how many at once.

    >>> Sweep(via=("ssh host",)).way("kd-zoo", Path("runs/kd-zoo"), "auto")
    Traceback (most recent call last):
    potstill.errors.BadInput: --via 'ssh host' has no {}, in whose place the command goes
    """

    jobs: Annotated[int, Range(1, 1024)] | Literal["auto"] | None = None
    """How many runs at once, on each host; they share its cores. By default one, or one for each of --gpus; with
    --via slurm as many as SLURM likes. auto: what a measurement of some minutes finds fastest here, for --side-by-side
    and the kept answers of teachers too."""
    side_by_side: Annotated[int, Range(1, 64)] | None = None
    """How many runs that share teacher, images and seed are trained in one process, with one pass of their teacher for
    all: the same results, in less time and more memory. Each of --jobs is such a process. By default one."""
    gpus: str | None = None
    """all, how many, or a list (0,1,3): each run has one for itself, or, if --jobs are more, its turn at one."""
    via: tuple[str, ...] = ()
    """Where else: slurm (words after it go to sbatch: "slurm -p gpu"), ray, or commands that lead to other
    hosts, {} being the run: "ssh a cd project && {}" "ssh b cd project && {}"."""
    collect: bool = False
    """Run nothing; only make table and report of what is there."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.side_by_side or 1) > 1 and any(way.split()[:1] in (["slurm"], ["ray"]) for way in self.via):
            raise BadInput(f"--side-by-side {self.side_by_side}: {self.via[0].split()[0]} runs one run a process")
        if self.collect and self.via:
            raise BadInput("--collect runs nothing: leave out --via")
        if self.jobs == "auto" and self.via:
            raise BadInput("--jobs auto measures this machine: with --via, give a number")

    @property
    def at_once(self) -> int | None:
        """``jobs``, where nothing is left to be measured."""
        assert self.jobs != "auto", "potstill.tables.measured finds a number"
        return self.jobs

    def run(self, table: str, folder: Path, device: str, jobs: "Sequence[Job]", present: int) -> dict[str, str]:
        """Run what is missing, or have it run; nothing with ``collect``. The rest is as in `way`.

        Args:
            table: its name.
            folder: its folder.
            device: that runs are told to use.
            jobs: what is missing.
            present: how many runs are there.

        Returns:
            Why those failed that did, by their names.
        """
        if self.collect:
            return {}
        way = self.way(table, folder, device)  # refuses what is not there, also where nothing is missing
        return way(jobs, present) if jobs else {}

    def way(self, table: str, folder: Path, device: str) -> Way:
        """How to run what is missing.

        Args:
            table: its name.
            folder: its folder.
            device: that runs are told to use.

        Raises:
            BadInput: GPUs, Ray or SLURM are not there; two ways at once; a command without ``{}``.
        """
        if self.gpus is not None and device not in ("auto", "cuda"):
            raise BadInput(f"--device {device} and --gpus: each run sees its own GPU alone; leave out one of the two")
        if not self.via:
            return self._here()
        names = [words[0] for words in map(str.split, self.via) if words and words[0] in WAYS]
        if names and len(self.via) > 1:
            raise BadInput(f"--via {names[0]} is a way of its own: leave out the others")
        return WAYS[names[0]](self, table, folder) if names else self._elsewhere()

    def here(self) -> "Sequence[Place]":
        """The places of this machine; one with ``jobs`` auto, which nobody has measured here."""
        from potstill.tables.runners.gpus import chosen, gpus_here
        from potstill.tables.runners.local import local

        gpus = [] if self.gpus is None else chosen(self.gpus, gpus_here())
        jobs = None if self.jobs == "auto" else self.jobs
        return local(jobs or len(gpus) or 1, gpus)

    def _here(self) -> Way:
        places = self.here()
        return partial(run_in, lambda: places, side_by_side=self.side_by_side or 1)

    def _elsewhere(self) -> Way:
        from potstill.tables.runners.gpus import parsed
        from potstill.tables.runners.template import BLANK, elsewhere, split

        for template in self.via:
            if BLANK not in template and (near := nearest(template, WAYS)):
                raise BadInput(f"--via {shown(template)} is no way to run; did you mean {near[0]}?")
            split(template)
        if self.gpus == "all":
            raise BadInput("--gpus all: how many other hosts have is not known here; give a number or a list")
        count, names = (None, []) if self.gpus is None else parsed(self.gpus)
        gpus = names if count is None else list(map(str, range(count)))
        places = partial(elsewhere, self.via, self.at_once or len(gpus) or 1, gpus)
        return partial(run_in, places, side_by_side=self.side_by_side or 1)


def run_in(
    places: "Callable[[], Sequence[Place]]", jobs: "Sequence[Job]", present: int, side_by_side: int = 1
) -> dict[str, str]:
    """Run jobs in places, as many as that in each at a time, and show how far it is."""
    from potstill.tables.groups import ByMember, grouped
    from potstill.tables.jobs import run_jobs
    from potstill.tables.progress import TableProgress

    there, groups = places(), grouped(jobs, side_by_side)
    with TableProgress(present, len(jobs), len(there) * side_by_side) as progress:
        failures = run_jobs([group.job for group in groups], there, ByMember(progress, groups))
    return {name: why for group in groups for name, why in group.failures(failures.get(group.job.name)).items()}


def via_ray(sweep: Sweep, _table: str, _folder: Path) -> Way:
    """Hand runs to Ray."""
    from potstill.tables.runners.ray_cluster import in_ray, require_ray

    if sweep.via[0].split()[1:]:
        raise BadInput(f"--via {shown(sweep.via[0])}: ray stands alone; $RAY_ADDRESS says which cluster")
    require_ray()
    return partial(run_in, partial(in_ray, sweep.at_once, sweep.gpus))


def via_slurm(sweep: Sweep, table: str, folder: Path) -> Way:
    """Hand runs to SLURM."""
    import shlex

    from potstill.tables.runners.gpus import parsed
    from potstill.tables.runners.slurm import Slurm, require_sbatch, submitted

    if sweep.gpus is not None and (sweep.gpus == "all" or parsed(sweep.gpus) != (1, [])):
        raise BadInput(f"--gpus {sweep.gpus}: SLURM gives each run its own GPU; say --gpus 1, and --jobs how many runs")
    require_sbatch()
    slurm = Slurm(table, folder, shlex.split(sweep.via[0])[1:], sweep.at_once, sweep.gpus is not None)
    return lambda jobs, _present: submitted(slurm, jobs)


WAYS: dict[str, Callable[[Sweep, str, Path], Way]] = {"slurm": via_slurm, "ray": via_ray}
