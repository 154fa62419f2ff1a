"""One pass over the training images."""

from collections.abc import Callable, Generator, Sequence
from contextlib import closing, nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer

from potstill.batch import Batch, as_batch, on_device, rows_of
from potstill.compiler import step_of
from potstill.data.data import Batches
from potstill.distiller import Distiller
from potstill.engine.averages import Averages
from potstill.engine.cuda_graph import StepGraphs
from potstill.engine.optimizer import warm_up
from potstill.engine.parts import Share, parts_of, summed
from potstill.engine.place import Place
from potstill.engine.progress import Progress
from potstill.engine.streams import backward_pass, differentiated
from potstill.engine.transforms import Transforms
from potstill.errors import BadInput
from potstill.guard import guarded
from potstill.runs.schema import Trained
from potstill.side_by_side.turns import pass_on
from potstill.signals import deferred
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
    place: Place | None = None,
    between: Callable[[], object] | None = None,
    graphs: StepGraphs | None = None,
    averages: Averages | None = None,
) -> Trained:
    """Train for an epoch, counted from 0. Nothing in a step waits for the device, and no signal breaks one off.

    Args:
        distiller: what trains.
        batches: on which images.
        optimizer: of the distiller's parameters.
        epoch: which one, counted from 0.
        training: budget and precision.
        progress: is told how far it is.
        transforms: of the batches.
        after_step: called after every step.
        place: where to begin; moves on with every step.
        between: called between two steps.
        averages: of the weights, which follow every step.
        graphs: takes the steps, if they may be CUDA graphs.

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
    place = Place() if place is None else place
    place.enter([term.name for term in active], device)
    weights, team = {term.name: term.weight_at(epoch) for term in active}, distiller.team
    take = _taker(distiller, optimizer, training, after_step, graphs, averages)
    with closing(_one_by_one(batches, place, epoch)) as left:
        for given in left:
            batch = _transformed(on_device(as_batch(given), device), transforms, epoch, place.step)
            warm_up(optimizer, training, epoch, place.step, steps)
            distiller.progress.fill_((epoch + (place.step / steps if steps else 0)) / training.epochs)
            with nullcontext() if team is None else team.step(epoch, place.step):
                values = take(batch)
            place.passed(values, rows_of(batch) if team is None else team.rows, batches)
            if progress.due():
                place.meter.check(epoch)
                progress.step(place.step, place.meter.images / place.seconds, place.meter.means(), weights)
            if between is not None:
                between()
    if place.step == 0:
        raise BadInput(f"the training data gave no batch in epoch {epoch}")
    place.leave(epoch)
    return {"terms": place.meter.means(), "weights": weights, **place.speed()}


def _transformed(batch: Batch, transforms: Transforms | None, epoch: int, step: int) -> Batch:
    return batch if transforms is None else transforms(batch, epoch, step)


def _one_by_one(batches: Batches, place: Place, epoch: int) -> Generator[Batch]:
    """The batches that are left; signals wait until whoever takes one has made a step of it.

    They do not wait for a batch that other processes make. One that this process makes may draw random numbers, and
    belongs to its step.
    """
    left, draws = place.batches(batches), getattr(batches, "draws", False)
    while True:
        pass_on((epoch, place.step))
        given = None if draws else next(left, None)
        with deferred():
            given = next(left, None) if draws else given
            if given is None:
                return
            yield given


def _taker(
    distiller: Distiller,
    optimizer: Optimizer,
    training: Training,
    after_step: Callable[[Distiller], object] | None,
    graphs: StepGraphs | None,
    averages: Averages | None,
) -> Callable[[Batch], dict[str, Tensor]]:
    """What takes an epoch's steps, as usual or as graphs, and calls ``after_step`` after each."""
    take_step = _clipped(optimizer, step_of(optimizer), training.clip)

    def step(batch: Batch) -> dict[str, Tensor]:
        return train_step(distiller, batch, optimizer, take_step, training.precision, training.accumulate)

    if graphs is not None:
        graphs.begin(distiller, optimizer)

    def take(batch: Batch) -> dict[str, Tensor]:
        values = step(batch) if graphs is None else graphs.take(step, batch)
        if averages is not None:
            averages.follow()
        if after_step is not None:
            after_step(distiller)  # what it raises is the caller's own, who may stop the run by it
            if graphs is not None:
                graphs.begin(distiller, optimizer)  # it may have moved anything
        return values

    return take


def _clipped(optimizer: Optimizer, take_step: Callable[[], Any], norm: float | None) -> Callable[[], Any]:
    """What takes an optimiser's step, after it has shortened a gradient that is longer than ``norm``."""
    if norm is None:
        return take_step
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]

    def take() -> None:
        clip_grad_norm_(parameters, norm)
        take_step()

    return take


def train_step(
    distiller: Distiller,
    batch: Batch,
    optimizer: Optimizer,
    take_step: Callable[[], Any],
    precision: str,
    parts: int = 1,
) -> dict[str, Tensor]:
    """Learn from one batch, in as many steps as the distiller takes turns; each term's value."""
    values: dict[str, Tensor] = {}
    for turn in distiller.turns:
        if parts == 1:
            values_of_turn = _differentiate(distiller, optimizer, batch, turn, precision)
        else:
            several = [(part, share) for share, part in parts_of(batch, parts)]
            values_of_turn = summed(
                [_differentiate(distiller, optimizer, part, turn, precision, share) for part, share in several]
            )
        if distiller.team is not None:
            values_of_turn = distiller.team.sum(turn, values_of_turn)
        take_step()
        optimizer.zero_grad()  # to None: what a turn does not reach, its step leaves alone
        values |= values_of_turn
    return values


def _differentiate(
    distiller: Distiller,
    optimizer: Optimizer,
    batch: Batch,
    turn: Sequence[int],
    precision: str,
    share: Share | None = None,
) -> dict[str, Tensor]:
    """Add a batch's gradient to what is there; each term's value. Of a part, the ``share`` of both that it is."""
    with torch.autocast(distiller.weights.device.type, torch.bfloat16, enabled=precision == "bf16"):
        backward, totals, values = differentiated(distiller, optimizer, batch, turn, share)
    guarded(partial(backward_pass, distiller), backward, *totals)
    return values


def length(batches: Batches) -> int | None:
    """How many batches an epoch has; None for somebody's own loader that does not know."""
    try:
        return len(batches)
    except TypeError:
        return None
