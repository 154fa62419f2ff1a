"""A run that goes on for more epochs than it was first asked for: whether it is the one it would have been."""

from collections.abc import Sequence

from potstill.distiller import Distiller
from potstill.errors import BadInput
from potstill.runs.folder import RunFolder
from potstill.runs.schema import Epoch
from potstill.schedules import Schedule
from potstill.training import Training

PART_DONE = "progress"  # the entry of a batch that says which part of the training is done


def extend(run: RunFolder, history: Sequence[Epoch], distiller: Distiller, training: Training) -> str | None:
    """Have a run go on that was shorter, if its past epochs are those of the longer one, or ``training.extend`` is set.

    Returns:
        What makes it another run than one of this length from the start; None if it is the same, bit for bit.

    Raises:
        BadInput: it would be another one; or there is no checkpoint to go on from.
    """
    if not history and run.summary() is not None:
        raise BadInput(f"{run.checkpoint} is gone, from which this finished run would go on; choose another --out")
    changed = _changed(history, distiller, training.learning_rate())
    if changed is not None and not training.extend:
        usual = training.schedule == "milestones" and not training.milestones
        hint = "give the --milestones that it had, " if usual else ""
        raise BadInput(
            f"{run.path} holds a run of {run.extends} epochs, and one of {training.epochs} from the start is another: "
            f"{changed}; {hint}choose another --out, or go on all the same with --extend"
        )
    run.extend(changed)
    return changed


def _changed(history: Sequence[Epoch], distiller: Distiller, rate: Schedule) -> str | None:
    """The first thing of the past epochs that would have been otherwise."""
    for record in history:
        epoch = record["epoch"]
        if record["lr"] != rate(epoch):
            return f"its learning rate in epoch {epoch} was {record['lr']:g} and would have been {rate(epoch):g}"
        weights = {term.name: term.weight_at(epoch) for term in distiller.terms}
        for name in weights:
            before = record["weights"].get(name, 0.0)
            if before != weights[name]:
                return f"the weight of {name!r} in epoch {epoch} was {before:g} and would have been {weights[name]:g}"
    if history and any(PART_DONE in one for one in _addresses(distiller)):
        return f"a term takes {PART_DONE!r}, the part of the training that is done"
    return None


def _addresses(distiller: Distiller) -> list[tuple[str, ...]]:
    terms = [tuple(term.flat_addresses) for term in distiller.terms]
    return terms + [one.inputs for one in distiller.passes.in_order]
