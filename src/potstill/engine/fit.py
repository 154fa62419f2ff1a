"""Training: `fit`, and the only training loop of the package."""

import math
import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from potstill.batch import as_batch
from potstill.data import Data, ImageLoader, Loader
from potstill.device import find_device, make_deterministic
from potstill.distiller import Distiller
from potstill.engine.checkpoint import (
    load_checkpoint,
    random_states,
    restore_random_states,
    save_checkpoint,
    save_weights,
)
from potstill.engine.description import describe_run
from potstill.engine.evaluate import evaluate
from potstill.engine.insight import with_costs, write_insight
from potstill.engine.meter import Meter
from potstill.engine.optimizer import make_optimizer, set_learning_rate
from potstill.engine.progress import Progress
from potstill.engine.recorders import TensorBoard
from potstill.errors import BadInput, TrainingFailed, first_line
from potstill.networks.weights import load_weights
from potstill.runs import names
from potstill.runs.arguments import default_folder
from potstill.runs.folder import RunFolder
from potstill.runs.headline import best_epoch, shown
from potstill.runs.schema import Epoch, Learner, Measured, Splits, Summary, Trained
from potstill.training import Training


def fit(
    distiller: Distiller, data: Data, training: Training, record: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Train a distiller's learners, in a run folder that a killed run continues from, bit for bit.

    Args:
        distiller: networks and terms; trained in place.
        data: what `potstill.data.load` gives.
        training: budget, optimiser, machine, folder.
        record: further arguments of the run, kept in its ``config.json``; ``recipe`` names it.

    Returns:
        The run's summary, as in its ``summary.json``: each teacher's accuracy, and each learner's in the last and in
        the best epoch. A run that is finished already is not repeated: networks and losses get what it ended with.

    Raises:
        BadInput: the run folder or a network does not fit.
        TrainingFailed: a loss was not finite, or the disk is full; the last good checkpoint is kept.
    """
    device = find_device(training.device)
    make_deterministic()
    _check_classes(distiller, data)  # before anything is written
    config = describe_run(record or {}, training, distiller, data, device)
    with RunFolder(training.out or default_folder(record or {}, training), config) as run:
        distiller.to(device).to(memory_format=torch.channels_last)
        if summary := run.summary():
            _restore(distiller, run)
            if not (run.path / names.INSIGHT).is_file():  # killed right after its end
                write_insight(run.path, distiller, data)
            return dict(summary)
        if training.compile:
            for network in distiller.networks.values():
                network.compile(dynamic=False)
        try:
            return dict(_train(distiller, data, training, run))
        except TrainingFailed as error:
            raise TrainingFailed(f"{error}; {_kept(run)}") from error
        except OSError as error:
            where = error.filename or run.path
            raise TrainingFailed(f"{error.strerror} while writing {where}; {_kept(run)}") from error


def _train(distiller: Distiller, data: Data, training: Training, run: RunFolder) -> Summary:
    optimizer = make_optimizer(distiller, training)
    learning_rate = training.learning_rate()
    torch.manual_seed(training.seed)
    history = _resume(distiller, optimizer, run)
    run.start_logs(history)
    tensorboard = TensorBoard(run.path, purge_step=len(history))
    if distiller.weights.is_cuda:
        torch.cuda.reset_peak_memory_stats(distiller.weights.device)
    with Progress(training.epochs, len(data.train), len(history)) as progress:
        progress.say(f"{run.path}: epoch {len(history)} of {training.epochs}")
        teachers = {name: evaluate(teacher, data.test) for name, teacher in distiller.teachers.items()}
        for name, result in teachers.items():
            progress.say(f"{name}: {shown(result)} of the test images")
        for epoch in range(len(history), training.epochs):
            set_learning_rate(optimizer, learning_rate(epoch))
            measured = train_epoch(distiller, data.train, optimizer, epoch, progress, bf16=training.precision == "bf16")
            learners = {name: _measure(network, data) for name, network in distiller.learners.items()}
            _check_finite(learners, epoch)
            history.append({"epoch": epoch, "lr": learning_rate(epoch), **measured, "learners": learners})
            _save(distiller, optimizer, run, history)
            run.log(history[-1])
            tensorboard.log(history[-1])
            progress.epoch(history[-1])
    summary = with_costs(_summarize(distiller, data, teachers, history), distiller, data)
    tensorboard.close()
    run.finish(summary)
    write_insight(run.path, distiller, data)
    return summary


def train_epoch(
    distiller: Distiller,
    batches: Loader | ImageLoader,
    optimizer: Optimizer,
    epoch: int,
    progress: Progress,
    bf16: bool = False,
) -> Trained:
    """One pass over the training images. Nothing in a step waits for the device.

    Returns:
        The mean of each term's value, its weight, and how long it took.

    Raises:
        TrainingFailed: a term was not finite.
    """
    distiller.train()
    distiller.set_epoch(epoch)
    batches.set_epoch(epoch)
    device = distiller.weights.device
    active = [distiller.terms[i] for turn in distiller.turns for i in turn]
    meter = Meter([term.name for term in active], device)
    started = time.monotonic()
    for step, batch in enumerate(batches, start=1):
        values: dict[str, Tensor] = {}
        for turn in distiller.turns:
            with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
                total, values_of_turn = distiller(batch, turn)
            total.backward()
            optimizer.step()
            optimizer.zero_grad()  # to None: what a turn does not reach, its step leaves alone
            values |= values_of_turn
        meter.add(values, len(batch["labels"]))
        if progress.due() or step == len(batches):
            if broken := meter.broken():
                raise TrainingFailed(f"{broken[0]!r} is not finite at step {broken[1]} of epoch {epoch}")
            progress.step(step, meter.images / (time.monotonic() - started), meter.means())
    seconds = time.monotonic() - started
    return {
        "terms": meter.means(),
        "weights": {term.name: term.weight_at(epoch) for term in active},
        "images_per_second": meter.images / seconds,
        "seconds": seconds,
    }


def _measure(network: nn.Module, data: Data) -> Splits:
    splits: Splits = {"test": evaluate(network, data.test)}
    if data.holdout:
        splits["holdout"] = evaluate(network, data.holdout)
    return splits


def _check_finite(learners: Mapping[str, Splits], epoch: int) -> None:
    """The last step of an epoch may have broken the weights, which no term has seen: never save those."""
    for name, splits in learners.items():
        if not math.isfinite(splits["test"]["loss"]):
            raise TrainingFailed(f"{name} gives no finite output after epoch {epoch}: its last update broke it")


def _save(distiller: Distiller, optimizer: Optimizer, run: RunFolder, history: list[Epoch]) -> None:
    """The epoch's files. The checkpoint comes last: until it is there, a restart repeats the epoch, bit for bit."""
    epoch = history[-1]["epoch"]
    for name, network in distiller.learners.items():
        save_weights(network, run.path / names.weights(name))
        if best_epoch(history, name)["epoch"] == epoch:
            save_weights(network, run.path / names.best_weights(name))
    state = {
        "learners": {name: network.state_dict() for name, network in distiller.learners.items()},
        "losses": distiller.losses.state_dict(),
        "optimizer": optimizer.state_dict(),
        "random": random_states(),
        "history": history,
    }
    save_checkpoint(run.checkpoint, state)


def _resume(distiller: Distiller, optimizer: Optimizer, run: RunFolder) -> list[Epoch]:
    """Continue from the run's checkpoint, if it has one; the epochs it has finished."""
    if not run.checkpoint.is_file():
        return []
    rates = [group["lr"] for group in optimizer.param_groups]
    state = load_checkpoint(run.checkpoint, distiller.weights.device)
    try:
        for name, network in distiller.learners.items():
            network.load_state_dict(state["learners"][name])
        distiller.losses.load_state_dict(state["losses"])
        optimizer.load_state_dict(state["optimizer"])
    except (KeyError, RuntimeError, ValueError) as error:
        raise BadInput(f"{run.checkpoint} is of other networks: {first_line(error)}") from error
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = rate  # loading has put a copy there
    restore_random_states(state["random"])
    history: list[Epoch] = state["history"]
    return history


def _restore(distiller: Distiller, run: RunFolder) -> None:
    """What a finished run ended with, for whoever goes on with its networks, a next stage for example."""
    for name, network in distiller.learners.items():
        load_weights(network, run.path / names.weights(name))
    if distiller.losses.state_dict():
        if not run.checkpoint.is_file():
            raise BadInput(f"{run.checkpoint} is gone, which holds what the losses of this finished run have learned")
        state = load_checkpoint(run.checkpoint, distiller.weights.device)
        distiller.losses.load_state_dict(state["losses"])


def _summarize(distiller: Distiller, data: Data, teachers: Mapping[str, Measured], history: list[Epoch]) -> Summary:
    learners: dict[str, Learner] = {}
    for name, network in distiller.learners.items():
        last, best = history[-1], best_epoch(history, name)
        learners[name] = {
            "parameters": sum(parameter.numel() for parameter in network.parameters()),
            "last": {"epoch": last["epoch"], **last["learners"][name]},
            "best": {"epoch": best["epoch"], **best["learners"][name]},
        }
    return {
        "data": data.name,
        "epochs": len(history),
        "best_chosen_on": "holdout" if data.holdout else "test",
        "teachers": {name: {**result} for name, result in teachers.items()},
        "learners": learners,
        "seconds": sum(record["seconds"] for record in history),
    }


def _check_classes(distiller: Distiller, data: Data) -> None:
    images = as_batch(data.example())["images"]
    for name, network in distiller.networks.items():
        mode = network.training
        with torch.no_grad():
            classes = network.eval()(images.to(distiller.weights.device)).shape[1]
        network.train(mode)
        if classes != len(data.classes):
            raise BadInput(f"{name} has {classes} classes, but {data.name} has {len(data.classes)}")


def _kept(run: RunFolder) -> str:
    return f"the last good checkpoint is {run.checkpoint}" if run.checkpoint.is_file() else "there is no checkpoint yet"
