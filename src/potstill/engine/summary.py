"""A run in a few numbers: what its learners reached in the last and in the best epoch, and what networks cost."""

from collections.abc import Mapping
from typing import Any

from potstill.data.data import Data
from potstill.distiller import Distiller
from potstill.engine.costs import costs_of, peak_memory


def best_epoch(history: list[dict[str, Any]], learner: str, chosen_on: str) -> dict[str, Any]:
    """The first of the epochs in which a learner did best on the images ``chosen_on``; the last if none was measured.

    The first of the numbers measured counts, and more is better.
    """

    def reached(record: Mapping[str, Any]) -> float:
        measured: Mapping[str, float] = record["learners"][learner].get(chosen_on, {})
        return next(iter(measured.values()))

    if not history[-1]["learners"][learner].get(chosen_on):
        return history[-1]
    return max(history, key=reached)


def summarize(
    distiller: Distiller, data: Data, teachers: Mapping[str, Mapping[str, float]], history: list[dict[str, Any]]
) -> dict[str, Any]:
    """The summary of a run of these epochs.

    Every network has its ``parameters`` and ``macs``, multiply-adds an image (None where it sees no images);
    ``memory`` is the peak in ``peak_bytes``, of "cuda": allocated there since the peak was last reset, or of
    "process": resident, since it began.
    """
    costs = costs_of(distiller, data)
    learners: dict[str, Any] = {}
    for name in distiller.learners:
        chosen = {"last": history[-1], "best": best_epoch(history, name, data.chosen_on)}
        epochs = {which: {"epoch": epoch["epoch"], **epoch["learners"][name]} for which, epoch in chosen.items()}
        learners[name] = {**costs[name], **epochs}
    return {
        "data": data.name,
        "epochs": len(history),
        "best_chosen_on": data.chosen_on,
        "teachers": {name: {**costs[name], **measured} for name, measured in teachers.items()},
        "learners": learners,
        "seconds": sum(record["seconds"] for record in history),
        "memory": peak_memory(distiller.weights.device),
    }
