"""Training: `fit`, and the only training loop of the package."""

import math
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from potstill.batch import as_batch
from potstill.data import Data, ImageLoader, Loader
from potstill.device import find_device, make_deterministic
from potstill.distiller import Distiller
from potstill.engine.checkpoint import (
    fingerprint,
    load_checkpoint,
    random_states,
    restore_random_states,
    save_checkpoint,
    save_weights,
)
from potstill.engine.evaluate import evaluate
from potstill.engine.insight import INSIGHT, with_costs, write_insight
from potstill.engine.meter import Meter
from potstill.engine.optimizer import make_optimizer, set_learning_rate
from potstill.engine.progress import Progress
from potstill.engine.run_folder import RunFolder, default_folder, describe_run
from potstill.errors import BadInput, TrainingFailed
from potstill.networks.ensemble import MeanOfLogits
from potstill.networks.weights import load_weights
from potstill.runs.recording import current_record
from potstill.training import Training


def fit(
    distiller: Distiller, data: Data, training: Training, record: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Train a distiller's learners, in a run folder that a killed run continues from, bit for bit.

    Args:
        distiller: networks and terms; trained in place.
        data: what `potstill.data.load` gives.
        training: budget, optimiser, machine, folder.
        record: further arguments of the run, kept in its ``config.json`` beside those of the recipe that calls `fit`;
            ``recipe`` names it.

    Returns:
        The run's summary, as in its ``summary.json``: each teacher's accuracy, and each learner's in the last and in
        the best epoch. A run that is finished already is not repeated: networks and losses get what it ended with.

    Raises:
        BadInput: the run folder or a network does not fit.
        TrainingFailed: a loss was not finite, or the disk is full; the last good checkpoint is kept.
    """
    record = {**current_record(), **(record or {})}
    device = find_device(training.device)
    make_deterministic()
    _check_classes(distiller, data)  # before anything is written
    config = describe_run(record, training, device)
    config["networks"] = {name: _identity(network) for name, network in distiller.networks.items()}
    config["data"] = data.described()
    config["teachers"] = {f"weights of {n}": fingerprint(network) for n, network in distiller.teachers.items()}
    with RunFolder(training.out or default_folder(record, training), config) as run:
        distiller.to(device).to(memory_format=torch.channels_last)
        if summary := run.summary():
            _restore(distiller, run)
            if not (run.path / INSIGHT).is_file():  # killed right after its end
                write_insight(run.path, distiller, data)
            return summary
        if training.compile:
            for network in distiller.networks.values():
                network.compile(dynamic=False)
        try:
            return _train(distiller, data, training, run)
        except TrainingFailed as error:
            raise TrainingFailed(f"{error}; {_kept(run)}") from error
        except OSError as error:
            where = error.filename or run.path
            raise TrainingFailed(f"{error.strerror} while writing {where}; {_kept(run)}") from error


def _train(distiller: Distiller, data: Data, training: Training, run: RunFolder) -> dict[str, Any]:
    optimizer = make_optimizer(distiller, training)
    learning_rate = training.learning_rate()
    torch.manual_seed(training.seed)
    history = _resume(distiller, optimizer, run)
    run.start_logs(history)
    if distiller.weights.is_cuda:
        torch.cuda.reset_peak_memory_stats(distiller.weights.device)
    with Progress(training.epochs, len(data.train), len(history)) as progress:
        progress.say(f"{run.path}: epoch {len(history)} of {training.epochs}")
        teachers = {name: evaluate(teacher, data.test) for name, teacher in distiller.teachers.items()}
        for name, result in teachers.items():
            progress.say(f"{name}: {result['top1']:.2f} % of the test images")
        for epoch in range(len(history), training.epochs):
            set_learning_rate(optimizer, learning_rate(epoch))
            measured = train_epoch(distiller, data.train, optimizer, epoch, progress, bf16=training.precision == "bf16")
            learners = {name: _measure(network, data) for name, network in distiller.learners.items()}
            _check_finite(learners, epoch)
            history.append({"epoch": epoch, "lr": learning_rate(epoch), **measured, "learners": learners})
            _save(distiller, optimizer, run, history, data)
            run.log(history[-1])
            progress.epoch(history[-1])
    summary = with_costs(_summarize(distiller, data, teachers, history), distiller, data)
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
) -> dict[str, Any]:
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


def _measure(network: nn.Module, data: Data) -> dict[str, dict[str, float]]:
    splits = {"test": data.test} | ({"holdout": data.holdout} if data.holdout else {})
    return {split: evaluate(network, loader) for split, loader in splits.items()}


def _check_finite(learners: Mapping[str, Any], epoch: int) -> None:
    """The last step of an epoch may have broken the weights, which no term has seen: never save those."""
    for name, splits in learners.items():
        if not math.isfinite(splits["test"]["loss"]):
            raise TrainingFailed(f"{name} gives no finite output after epoch {epoch}: its last update broke it")


def _save(
    distiller: Distiller, optimizer: Optimizer, run: RunFolder, history: list[dict[str, Any]], data: Data
) -> None:
    """The epoch's files. The checkpoint comes last: until it is there, a restart repeats the epoch, bit for bit."""
    epoch = history[-1]["epoch"]
    for name, network in distiller.learners.items():
        save_weights(network, run.path / f"{name}.safetensors")
        if _best(history, name, data)["epoch"] == epoch:
            save_weights(network, run.path / f"{name}-best.safetensors")
    state = {
        "learners": {name: network.state_dict() for name, network in distiller.learners.items()},
        "losses": distiller.losses.state_dict(),
        "optimizer": optimizer.state_dict(),
        "random": random_states(),
        "history": history,
    }
    save_checkpoint(run.checkpoint, state)


def _resume(distiller: Distiller, optimizer: Optimizer, run: RunFolder) -> list[dict[str, Any]]:
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
        raise BadInput(f"{run.checkpoint} is of other networks: {str(error).splitlines()[0]}") from error
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = rate  # loading has put a copy there
    restore_random_states(state["random"])
    history: list[dict[str, Any]] = state["history"]
    return history


def _restore(distiller: Distiller, run: RunFolder) -> None:
    """What a finished run ended with, for whoever goes on with its networks, a next stage for example."""
    for name, network in distiller.learners.items():
        load_weights(network, run.path / f"{name}.safetensors")
    if distiller.losses.state_dict():
        if not run.checkpoint.is_file():
            raise BadInput(f"{run.checkpoint} is gone, which holds what the losses of this finished run have learned")
        state = load_checkpoint(run.checkpoint, distiller.weights.device)
        distiller.losses.load_state_dict(state["losses"])


def _best(history: list[dict[str, Any]], learner: str, data: Data) -> dict[str, Any]:
    """The first of the epochs in which a learner did best, on the held-out images if there are any."""
    split = "holdout" if data.holdout else "test"
    return max(history, key=lambda record: record["learners"][learner][split]["top1"])


def _summarize(
    distiller: Distiller, data: Data, teachers: Mapping[str, Any], history: list[dict[str, Any]]
) -> dict[str, Any]:
    learners = {}
    for name, network in distiller.learners.items():
        chosen = {"last": history[-1], "best": _best(history, name, data)}
        learners[name] = {
            "parameters": sum(parameter.numel() for parameter in network.parameters()),
            **{which: {"epoch": epoch["epoch"], **epoch["learners"][name]} for which, epoch in chosen.items()},
        }
    return {
        "data": data.name,
        "epochs": len(history),
        "best_chosen_on": "holdout" if data.holdout else "test",
        "teachers": teachers,
        "learners": learners,
        "seconds": sum(record["seconds"] for record in history),
    }


def _identity(network: nn.Module) -> dict[str, Any]:
    """What `networks.create` needs to make this network again; null for a network made by hand.

    ``input``: the images it sees where they are not the data's, see `networks.adapt_input`; ``mean_of``: its members.
    """
    identity = {"spec": getattr(network, "spec", None), "classes": getattr(network, "classes", None)}
    if hasattr(network, "own_input"):
        identity["input"] = asdict(network.own_input)  # type: ignore[call-overload]
    if isinstance(network, MeanOfLogits):
        identity["mean_of"] = [_identity(member) for member in network.networks]
    return identity


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
