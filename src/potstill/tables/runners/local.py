"""This machine: processes share its cores, and each has a GPU if the table was given some."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from potstill.cores import cores
from potstill.tables.jobs import Job
from potstill.tables.runners.process import Process


@dataclass(frozen=True)
class Here:
    """A place for one process on this machine, with what it sees besides our own environment."""

    environment: Mapping[str, str]
    host: str | None = None

    def start(self, job: Job) -> Process:
        """Start a job."""
        return Process(job, job.command, {**os.environ, **self.environment})


def local(at_once: int, gpus: Sequence[str] = ()) -> list[Here]:
    """Places for that many processes, which take GPUs in turn.

    >>> [here.environment["CUDA_VISIBLE_DEVICES"] for here in local(3, ["0", "2"])]
    ['0', '2', '0']
    """
    threads = os.environ.get("OMP_NUM_THREADS") or str(max(1, cores() // max(1, at_once)))
    return [Here({"OMP_NUM_THREADS": threads, **seen(gpus, i)}) for i in range(at_once)]


def seen(gpus: Sequence[str], place: int) -> dict[str, str]:
    """The environment in which a process sees the GPU of its place alone; empty where there are none to share."""
    if not gpus:
        return {}
    # GPUs are numbered as nvidia-smi does; by default CUDA has the fastest first.
    order = {} if "CUDA_DEVICE_ORDER" in os.environ else {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    return {"CUDA_VISIBLE_DEVICES": gpus[place % len(gpus)], **order}
