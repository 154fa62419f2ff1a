"""Further columns of a table, from what its runs have recorded: calibration, likelihood, agreement, time, memory."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from typing import Literal

from potstill.runs.headline import ACCURACY, headline
from potstill.runs.names import METRICS
from potstill.runs.reading import read_details, read_history, read_insight, read_summary

Column = Literal["ece", "nll", "agreement", "time", "memory"]
COSTS: tuple[Column, ...] = ("time", "memory")
"""Of these, what a method costs: shown as so many times its baseline's, too."""
MIB = 2**20


@dataclass(frozen=True)
class Further:
    """A column: its heading, the digits after the point, and its value in a run, by folder and network.

    The value is None where the run has not recorded it.
    """

    heading: str
    digits: int
    read: Callable[[Path, str], float | None]


def _calibration(folder: Path, learner: str) -> float | None:
    """The expected calibration error after the last epoch, in points."""
    details = read_details(folder).get(learner)
    return None if details is None else details["ece"]


def _likelihood(folder: Path, learner: str) -> float | None:
    """The mean negative log-likelihood after the last epoch, in nats: the loss of what is measured by its accuracy."""
    summary = read_summary(folder)
    measured = {} if summary is None else summary["learners"][learner]["last"]["test"]
    found = headline(measured)
    return measured.get("loss") if found is not None and found[0] == ACCURACY else None


def _agreement(folder: Path, learner: str) -> float | None:
    """On how many test images, in percent, the network chooses its teacher's class; of several teachers, the mean."""
    summary, insight = read_summary(folder), read_insight(folder)
    if summary is None or insight is None:
        return None
    others = insight["agreement"].get(learner, {})
    found = [agreement["top1"] for name, agreement in others.items() if name in summary["teachers"]]
    return mean(found) if found else None


def _time(folder: Path, _learner: str) -> float | None:
    """How long the steps of an epoch took, in seconds: the median epoch, which a pause or a first one leaves alone."""
    if not (folder / METRICS).is_file():
        return None
    return median(epoch["seconds"] for epoch in read_history(folder))


def _memory(folder: Path, _learner: str) -> float | None:
    """The most memory in use, in MiB: allocated on the GPU, or held by the process."""
    summary = read_summary(folder)
    memory = None if summary is None else summary.get("memory")
    return None if memory is None else memory["peak_bytes"] / MIB


COLUMNS: dict[Column, Further] = {
    "ece": Further("ECE, points", 2, _calibration),
    "nll": Further("NLL, nats", 4, _likelihood),
    "agreement": Further("agreement with the teacher, %", 2, _agreement),
    "time": Further("time an epoch, s", 2, _time),
    "memory": Further("memory, MiB", 0, _memory),
}
"""What ``potstill table --columns`` takes."""
