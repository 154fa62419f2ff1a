"""A run in a few numbers: what its learners reached in the last and in the best epoch, and what networks cost."""

from collections.abc import Mapping
from typing import cast

from potstill.data.data import Data
from potstill.distiller import Distiller
from potstill.engine.costs import peak_memory
from potstill.runs.headline import best_epoch
from potstill.runs.names import averaged
from potstill.runs.schema import Costs, Epoch, Learner, Measured, Summary


def summarize(
    distiller: Distiller,
    data: Data,
    before: Mapping[str, Measured],
    history: list[Epoch],
    costs: Mapping[str, Costs],
) -> Summary:
    """The summary of a run of these epochs, and of what was measured ``before`` it: of teachers, and of learners as
    they began, if that was.

    Every network has its ``parameters`` and ``macs``, multiply-adds an image (None where it sees no images);
    ``memory`` is the peak in ``peak_bytes``, of "cuda": allocated there since the peak was last reset, or of
    "process": resident, since it began.
    """
    learners: dict[str, Learner] = {}
    own = {averaged(name): costs[name] for name in distiller.learners} | dict(costs)
    for name in history[-1]["learners"]:
        last, best = history[-1], best_epoch(history, name)
        learner = {
            **own[name],
            "last": {"epoch": last["epoch"], **last["learners"][name]},
            "best": {"epoch": best["epoch"], **best["learners"][name]},
            **({"start": {"test": before[name]}} if name in before else {}),
        }
        learners[name] = cast(Learner, learner)
    return {
        "data": data.name,
        "epochs": len(history),
        "best_chosen_on": data.chosen_on,
        "teachers": {
            name: {"parameters": costs[name].get("parameters"), "macs": costs[name].get("macs"), **before[name]}
            for name in distiller.teachers
        },
        "learners": learners,
        "seconds": sum(record["seconds"] for record in history),
        "memory": peak_memory(distiller.weights.device),
    }
