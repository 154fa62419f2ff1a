"""One pass over the training images."""

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from potstill.batch import Batch, as_batch, on_device, rows_of
from potstill.compiler import step_of
from potstill.data.data import Batches
from potstill.distiller import Distiller
from potstill.engine.meter import Meter
from potstill.engine.progress import Progress
from potstill.engine.transforms import Transforms
from potstill.errors import BadInput
from potstill.guard import guarded
from potstill.runs.schema import Trained
from potstill.training import Training


def train_epoch(
    distiller: Distiller,
    batches: Batches,
    optimizer: Optimizer,
    epoch: int,
    training: Training,
    progress: Progress,
    transforms: Transforms | None = None,
    after_step: Callable[[Distiller], object] | None = None,
) -> Trained:
    """Train for an epoch, counted from 0. Nothing in a step waits for the device.

    Returns:
        The mean of each term's value, its weight, and how long it took.

    Raises:
        BadInput: no batch, or a transform that does not give one.
        TrainingFailed: a term was not finite.
    """
    distiller.train()
    distiller.set_epoch(epoch)
    batches.set_epoch(epoch)
    device, steps = distiller.weights.device, length(batches)
    active = [distiller.terms[i] for turn in distiller.turns for i in turn]
    meter, take_step = Meter([term.name for term in active], device), step_of(optimizer)
    started = time.monotonic()
    for step, given in enumerate(batches):
        batch = on_device(as_batch(given), device)
        if transforms is not None:
            batch = transforms(batch, epoch, step)
        distiller.progress.fill_((epoch + (step / steps if steps else 0)) / training.epochs)
        meter.add(train_step(distiller, batch, optimizer, take_step, training.precision), rows_of(batch))
        if after_step is not None:
            after_step(distiller)  # what it raises is the caller's own, who may stop the run by it
        if progress.due():
            meter.check(epoch)
            progress.step(step + 1, meter.images / (time.monotonic() - started), meter.means())
    if meter.steps == 0:
        raise BadInput(f"the training data gave no batch in epoch {epoch}")
    meter.check(epoch)
    seconds = time.monotonic() - started
    return {
        "terms": meter.means(),
        "weights": {term.name: term.weight_at(epoch) for term in active},
        "images_per_second": meter.images / seconds,
        "seconds": seconds,
    }


def train_step(
    distiller: Distiller, batch: Batch, optimizer: Optimizer, take_step: Callable[[], Any], precision: str
) -> dict[str, Tensor]:
    """Learn from one batch, in as many steps as the distiller takes turns; each term's value."""
    values: dict[str, Tensor] = {}
    for turn in distiller.turns:
        with torch.autocast(distiller.weights.device.type, torch.bfloat16, enabled=precision == "bf16"):
            total, values_of_turn = distiller(batch, turn)
        guarded("the backward pass", total.backward)
        take_step()
        optimizer.zero_grad()  # to None: what a turn does not reach, its step leaves alone
        values |= values_of_turn
    return values


def length(batches: Batches) -> int | None:
    """How many batches an epoch has; None for somebody's own loader that does not know."""
    try:
        return len(batches)
    except TypeError:
        return None
