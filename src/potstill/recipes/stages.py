"""Training in stages: each is a `fit` of its own, in a folder of its own."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from potstill.training import Training


def earlier_stage(
    name: str,
    record: Mapping[str, Any],
    training: Training,
    epochs: int,
    lr: float | None,
    milestones: tuple[int, ...] = (),
) -> tuple[dict[str, Any], Training, Training]:
    """The record and settings of a stage before the last, and the last one's settings.

    The stage lies in a folder ``name`` inside the run's. Its optimiser is fresh, as is that of the last stage.

    Args:
        name: of the stage.
        record: the run's.
        training: the run's.
        epochs: length of the stage.
        lr: its learning rate at the start; by default a tenth of the run's.
        milestones: epochs of the stage at whose start that drops; by default it stays.
    """
    from potstill.runs.arguments import default_folder

    folder = training.out or default_folder(record, training)
    earlier = replace(
        training,
        epochs=epochs,
        lr=training.lr / 10 if lr is None else lr,
        schedule="milestones",
        milestones=milestones or (epochs,),  # one at the end is never reached; none would mean the usual ones
        out=folder / name,
    )
    return {**record, "stage": name}, earlier, replace(training, out=folder)
