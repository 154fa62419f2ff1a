"""A Ray cluster: each run is a task with its share of processors and GPUs, and Ray chooses the machine."""

import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from math import ceil
from pathlib import Path
from typing import Any

from potstill.errors import BadInput, first_line
from potstill.guard import foreign
from potstill.say import say
from potstill.tables.jobs import PATIENCE_SECONDS, POLL_SECONDS, Ended, Job
from potstill.tables.runners.gpus import parsed
from potstill.tables.runners.process import Process


@dataclass(frozen=True)
class Share:
    """What each run has of the cluster, and how many there are at once.

    Args:
        at_once: runs.
        cpus: of each.
        gpus: of each, a fraction where several share one.
    """

    at_once: int
    cpus: int
    gpus: float


class InRay:
    """A place for one run at a time, wherever Ray has room for it."""

    host = None

    def __init__(self, share: Share) -> None:
        import ray

        self.task = ray.remote(num_cpus=share.cpus, num_gpus=share.gpus, max_retries=0)(run_there)

    def start(self, job: Job) -> "RayTask":
        """Hand a job to Ray, which starts it as soon as there is room."""
        given = {name: value for name, value in os.environ.items() if name.startswith("POTSTILL_")}
        return RayTask(self.task.remote(replace(job, log=job.log.absolute()), given, Path.cwd()))


class RayTask:
    """A job that Ray has."""

    def __init__(self, task: Any) -> None:
        self.task = task

    def poll(self) -> Ended | None:
        """How it ended; lost, if Ray cannot say."""
        import ray

        try:
            if not ray.wait([self.task], timeout=0)[0]:
                return None
            ended: Ended = ray.get(self.task)
        except ray.exceptions.RayTaskError as error:  # it could not be started there
            return Ended(f"Ray: {first_line(error.cause or error)}")
        except (ray.exceptions.RayError, ConnectionError) as error:
            return Ended(f"Ray has lost the machine or the process: {first_line(error)}", lost=True)
        return ended

    def ask_to_end(self) -> None:
        """Cancel it: `run_there` passes that on."""
        import ray

        ray.cancel(self.task, force=False)

    def wait(self, seconds: float) -> None:
        """Wait for its end, and have Ray kill it if that takes too long."""
        import ray

        if not ray.wait([self.task], timeout=seconds)[0]:
            ray.cancel(self.task, force=True)


def run_there(job: Job, environment: Mapping[str, str], folder: Path) -> Ended:
    """Run a job on the machine that Ray has chosen; what it prints goes into its log, on the shared file system."""
    process = Process(job, job.command, {**os.environ, **environment}, folder)
    try:
        while (ended := process.poll()) is None:
            time.sleep(POLL_SECONDS)
    except KeyboardInterrupt:  # how Ray cancels
        process.ask_to_end()
        process.wait(PATIENCE_SECONDS)
        return Ended("cancelled")
    return ended


def in_ray(jobs: int | None, gpus: str | None) -> list[InRay]:
    """Places in the cluster that runs already, or else in one of this machine alone.

    Args:
        jobs: how many runs at once; by default one for each of the GPUs, or one for each machine.
        gpus: how many GPUs they share: "all" or a number; by default none.

    Raises:
        BadInput: the cluster is not there, or has not that many GPUs.
    """
    _connect()
    import ray

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    share = share_of([(int(node.get("CPU", 0)), int(node.get("GPU", 0))) for node in nodes], jobs, gpus)
    return [InRay(share) for _ in range(share.at_once)]


def share_of(machines: list[tuple[int, int]], jobs: int | None, gpus: str | None) -> Share:
    """What each run gets of machines with that many processors and GPUs.

    >>> share_of([(16, 4), (16, 4)], 16, "all"), share_of([(8, 0)], None, None)
    (Share(at_once=16, cpus=2, gpus=0.5), Share(at_once=1, cpus=8, gpus=0.0))
    """
    there = sum(gpu for _, gpu in machines)
    wanted = 0
    if gpus is not None:
        wanted = there if gpus == "all" else parsed(gpus)[0] or 0
        if not wanted and gpus != "all":
            raise BadInput(f"--gpus {gpus}: Ray chooses the GPUs; say how many, or all")
        if not wanted or wanted > there:
            raise BadInput(f"--gpus {gpus}: the Ray cluster has {there or 'none'}")
    # A head node often has no processors to give.
    machines = [(cpu, gpu) for cpu, gpu in machines if cpu and (gpu or not wanted)] or machines
    at_once = jobs or wanted or len(machines)
    cpus = min(cpu for cpu, _ in machines) // ceil(at_once / len(machines))
    return Share(at_once, max(1, cpus), 1 / ceil(at_once / wanted) if wanted else 0.0)


def require_ray() -> None:
    """Refuse if Ray is not installed.

    Raises:
        BadInput: it is not.
    """
    if find_spec("ray") is None:
        raise BadInput("--via ray needs Ray, which is not installed: pip install 'potstill[ray]'")


def _connect() -> None:
    import ray

    if ray.is_initialized():
        return
    ours = signal.getsignal(signal.SIGTERM)  # Ray puts its own in its place, which saves nothing
    settings: dict[str, Any] = {"log_to_driver": False, "logging_level": "error"}
    try:
        ray.init(address="auto", **settings)
    except ConnectionError as error:
        if address := os.environ.get("RAY_ADDRESS"):
            raise BadInput(f"--via ray: no Ray cluster answers at RAY_ADDRESS {address}") from error
        say("no Ray cluster runs here: one is started on this machine, until the table is done")
        with foreign("Ray"):
            ray.init(address="local", include_dashboard=False, **settings)
    finally:
        signal.signal(signal.SIGTERM, ours)
