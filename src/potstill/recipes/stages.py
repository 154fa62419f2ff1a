"""Training in stages: each is a `fit` of its own, in a folder of its own."""

from dataclasses import replace
from pathlib import Path

from potstill.runs.recording import current_record
from potstill.training import Training


def earlier_stage(
    name: str,
    training: Training,
    epochs: int,
    lr: float | None,
    milestones: tuple[int, ...] = (),
) -> tuple[dict[str, str], Training, Training]:
    """What a stage before the last adds to the record of its run, its settings, and those of the last one.

    The stage lies in a folder ``name`` inside the run's. Its optimiser is fresh, as is that of the last stage.

    Args:
        name: of the stage.
        training: the run's.
        epochs: length of the stage.
        lr: its learning rate at the start; by default a tenth of the run's.
        milestones: epochs of the stage at whose start that drops; by default it stays.
    """
    folder = run_folder(training)
    earlier = replace(
        training,
        epochs=epochs,
        warmup=min(training.warmup, epochs),
        lr=training.lr / 10 if lr is None else lr,
        schedule="milestones",
        milestones=milestones or (epochs,),  # one at the end is never reached; none would mean the usual ones
        out=folder / name,
    )
    return {"stage": name}, earlier, replace(training, out=folder)


def run_folder(training: Training) -> Path:
    """Where the run of the recipe that is running goes."""
    from potstill.runs.arguments import default_folder

    return training.out or default_folder(current_record(), training)
