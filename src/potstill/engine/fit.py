"""Training: `fit`."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

from torch import nn

from potstill import signals
from potstill.allocator import keep_freed_memory
from potstill.answers.answering import answering
from potstill.answers.tested import Tested
from potstill.batch import Batch
from potstill.compiler import without_compiler
from potstill.data.data import Data
from potstill.data.own_loaders import OwnLoader
from potstill.device import find_device, make_deterministic
from potstill.distiller import Distiller
from potstill.engine.balance import balance_classes
from potstill.engine.description import describe_run
from potstill.engine.early_stop import check_early_stop
from potstill.engine.evaluate import evaluate
from potstill.engine.insight import write_insight
from potstill.engine.measuring import Measuring, check_networks
from potstill.engine.only_checked import unless_only_checked
from potstill.engine.parts import check_parts
from potstill.engine.precision import settle_precision
from potstill.engine.recorders import Recorder
from potstill.engine.rounding import check_roundable, rounding
from potstill.engine.state import State
from potstill.engine.streams import check_streams
from potstill.engine.suited import suited
from potstill.engine.train import Seams, train
from potstill.engine.transforms import Transforms
from potstill.errors import BadInput, TrainingFailed
from potstill.image_changes.chosen import chosen_changes
from potstill.image_changes.mixing import check_mixable
from potstill.memory_layout import lay_out
from potstill.ranks.meeting import meet, members
from potstill.ranks.onlooker import folder_of
from potstill.ranks.team import on_first
from potstill.roles import check_several
from potstill.runs.arguments import default_folder
from potstill.runs.folder import RunFolder
from potstill.runs.recording import current_record
from potstill.runs.schema import Summary
from potstill.side_by_side.shared_passes import join
from potstill.trackers.chosen import must_be_installed
from potstill.training import Training


def fit(
    distiller: Distiller,
    data: Data,
    training: Training,
    record: Mapping[str, Any] | None = None,
    *,
    transforms: Sequence[Callable[[Batch], Batch]] = (),
    measure: Callable[[nn.Module, Iterable[Batch]], Mapping[str, float]] = evaluate,
    recorders: Sequence[Recorder] = (),
    after_step: Callable[[Distiller], object] | None = None,
) -> Summary:
    """Train a distiller's learners, in a run folder that a killed run continues from, bit for bit.

    Args:
        distiller: networks and terms; trained in place.
        data: what `potstill.data.load` or `potstill.data.from_loaders` gives.
        training: budget, optimiser, machine, folder.
        record: further arguments of the run, kept in its ``config.json`` beside those of the recipe that calls `fit`;
            ``recipe`` names it.
        transforms: functions from a training batch to a training batch of as many images, on the device. They draw from
            torch's random numbers, which are seeded by the run's seed, the epoch and the step.
        measure: what is measured of a network on batches, after every epoch: numbers by name, of which the first heads
            the summary and chooses the best epoch; more is better. By default accuracy, of the distiller's classifiers;
            of images that may have several labels, mean average precision; of images without labels, how far they agree
            with their teacher. A method ``beforehand`` of it, if it has one, is asked before
            the training what networks reach on the test batches: such numbers of each, by the network's name.
        recorders: who else is told what each epoch measured, besides ``metrics.jsonl`` and the training's ``log``:
            objects with ``log(record)`` and ``close()``, and with ``finish(summary)`` if they like. One that fails is
            named on stderr, and the run goes on.
        after_step: called with the distiller after every step, to average weights for example. What its ``state_dict``
            gives, if it has one, is kept in the checkpoint.

    Returns:
        The run's summary, as in its ``summary.json``: each teacher's accuracy, and each learner's in the last and in
        the best epoch. A run that is finished already is not repeated: networks and losses get what it ended with.

    Raises:
        BadInput: the run folder, a network or a batch does not fit.
        TrainingFailed: a loss was not finite, or the disk is full; the last good checkpoint is kept.
        KeyboardInterrupt: SIGINT came; the step was finished and saved, and the same call continues.
        SystemExit: SIGTERM came, likewise; with exit code 143.

    >>> import tempfile
    >>> from pathlib import Path
    >>> import torch
    >>> import potstill as ps
    >>> batches = [(torch.randn(4, 3, 8, 8), torch.tensor([0, 1, 2, 0]))] * 3
    >>> data = ps.data.from_loaders(batches, test=batches)
    >>> networks = {"student": ps.networks.create("resnet8", classes=3)}
    >>> distiller = ps.Distiller(networks, ps.terms(["CE"], networks), data.example())
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     summary = ps.fit(distiller, data, ps.Training(epochs=2, out=Path(folder, "run"), device="cpu"))
    >>> summary["learners"]["student"]["last"]["test"]["n"]
    12
    """
    training = _of(data, training)
    record = {**current_record(), **(record or {})}
    device = find_device(training.device)
    make_deterministic()
    own = _asked_for(training, distiller, data)  # before anything is written
    config = describe_run(record, training, distiller, data, device)
    team = meet(config, distiller, data, training)
    check_parts(training, distiller, team)
    data = unless_only_checked(distiller, data if team is None else team.data)
    changes = Transforms(transforms, training.seed, () if team is None else (team.world.rank,), before=own)
    measuring = Measuring(suited(measure, distiller, data), distiller, data, Tested.folder_for(training, data))
    seams = Seams(changes, measuring, recorders, after_step)
    out = training.out or default_folder(record, training)
    with signals.handled(), folder_of(out, config, team) as run, members(distiller, team):
        lay_out(distiller.to(device), data.example())
        if run.extends is None and (summary := on_first(team, run.summary)):
            take_finished(State(distiller, run, after_step=after_step), data)
            return summary
        training = _prepared(training, distiller, data, run)
        kept = answering(distiller, data, training, plain=not changes.functions)
        together = nullcontext() if team is None else signals.deferred()  # none stops alone
        try:
            with without_compiler(), kept, rounding(distiller, training.qat), together:
                return train(distiller, data, training, run, seams)
        except TrainingFailed as error:
            raise type(error)(f"{error}; {_kept(run)}") from error
        except OSError as error:
            where = error.filename or run.path
            raise TrainingFailed(f"{error.strerror} while writing {where}; {_kept(run)}") from error


def _asked_for(training: Training, distiller: Distiller, data: Data) -> list[Callable[[Batch], Batch]]:
    """What the training does to batches; whatever else it asks for, and cannot have, is refused."""
    check_networks(distiller, data)
    must_be_installed(training.log)
    check_early_stop(training, data)
    if training.augment == "none" and isinstance(data.train, OwnLoader):
        raise BadInput("--augment none is for data sets that are loaded here; your own loader gives what it gives")
    if data.several:
        check_several(distiller.terms)
    if training.mixes:
        check_mixable(distiller.terms)
    check_streams(training, distiller)
    balance_classes(training, distiller, data)
    if training.qat:
        check_roundable(distiller.learners)
    return chosen_changes(training, data)


def _of(data: Data, training: Training) -> Training:
    """The training with the name of its data, which may come from somebody's own loaders."""
    if not isinstance(data, Data):
        raise BadInput(f"data is a {type(data).__name__}: give potstill.data.load(NAME), or from_loaders(train, test)")
    return training if data.name == training.data else replace(training, data=data.name)


def _prepared(training: Training, distiller: Distiller, data: Data, run: RunFolder) -> Training:
    """Set up this process and the networks for a run that trains; the training as it then is."""
    if training.keep_memory:
        keep_freed_memory()
    precision = on_first(distiller.team, lambda: settle_precision(training, distiller, data, run).precision)
    for network in distiller.networks.values() if training.compile else ():
        network.compile(dynamic=False)
    training = replace(training, precision=precision)
    if training.teacher_engine != "torch":
        from potstill.teacher_engines.choice import settle_teacher_engine  # which imports torch's compiler

        training = replace(training, teacher_engine=settle_teacher_engine(training, distiller, data, run))
    join(distiller)
    return training


def take_finished(state: State, data: Data) -> None:
    """Give networks and losses what a finished run ended with."""
    on_first(state.team, state.restore_finished)
    if state.team is not None:
        state.team.begin(state.after_step)
    if state.writes and not state.run.insight.is_file():  # killed right after its end
        write_insight(state.run.insight, state.distiller, data)


def _kept(run: RunFolder) -> str:
    return f"the last good checkpoint is {run.checkpoint}" if run.checkpoint.is_file() else "there is no checkpoint yet"
