"""The training loop: epoch after epoch, from where a run's checkpoint leaves off."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from potstill import signals
from potstill.data.data import Data
from potstill.distiller import Distiller
from potstill.engine.averages import Averages
from potstill.engine.cuda_graph import StepGraphs, step_graphs
from potstill.engine.details import written
from potstill.engine.early_stop import is_over
from potstill.engine.epoch import length, train_epoch
from potstill.engine.extension import extend
from potstill.engine.insight import write_insight
from potstill.engine.measuring import Measuring
from potstill.engine.optimizer import make_optimizer, set_learning_rate
from potstill.engine.place import Place
from potstill.engine.progress import Progress
from potstill.engine.recorders import Recorder, Recorders
from potstill.engine.rehearsal import rehearse
from potstill.engine.state import History, State
from potstill.engine.summary import summarize
from potstill.engine.transforms import Transforms
from potstill.errors import BadInput
from potstill.ranks.onlooker import progress_of
from potstill.ranks.team import on_first
from potstill.runs.folder import RunFolder
from potstill.runs.names import DETAILS
from potstill.runs.schema import Costs, Epoch, Measured, Summary
from potstill.say import say
from potstill.trackers.chosen import recorders_of
from potstill.training import OF_TIMM, TWO_GRADIENTS, Training


@dataclass(frozen=True)
class Seams:
    """What the caller of `fit` brings along."""

    transforms: Transforms
    measuring: Measuring
    recorders: Sequence[Recorder]
    after_step: Callable[[Distiller], object] | None

    def __post_init__(self) -> None:
        for recorder in self.recorders:
            if not callable(getattr(recorder, "log", None)) or not callable(getattr(recorder, "close", None)):
                raise BadInput(f"a recorder has log(record) and close(), but a {type(recorder).__name__} has not both")
        if self.after_step is not None and not callable(self.after_step):
            raise BadInput(f"after_step is a function of the distiller, not a {type(self.after_step).__name__}")


def train(distiller: Distiller, data: Data, training: Training, run: RunFolder, seams: Seams) -> Summary:
    """Train what is left of a run, and write what came out.

    Raises:
        BadInput: the checkpoint is of another run; something of the networks cannot be saved.
        TrainingFailed: a loss was not finite.
    """
    optimizer, learning_rate = make_optimizer(distiller, training), training.learning_rate()
    averages = None if training.ema is None else Averages(distiller, training.ema)
    state = State(distiller, run, optimizer, seams.after_step, averages, training.keep)
    graphs = step_graphs(training, distiller.weights.device, _waiting(distiller, training))
    torch.manual_seed(training.seed)
    history = state.resume()
    if (team := distiller.team) is not None:
        team.begin(state.after_step)
    _extended(state, history, training)
    costs = on_first(team, lambda: rehearse(state, data))
    run.start_logs(history)
    if distiller.weights.is_cuda:
        torch.cuda.reset_peak_memory_stats(distiller.weights.device)
    with (
        progress_of(team, training.epochs, length(data.train), len(history)) as progress,
        Recorders(_recorders(state, training, seams, history, progress.say), progress.say) as recorders,
    ):
        progress.say(f"{run.path}: epoch {len(history)} of {training.epochs}{_inside(state)}")
        before = on_first(team, lambda: seams.measuring.before(progress.say))
        for epoch in range(len(history), training.epochs):
            if is_over(history, training.early_stop, progress.say):
                break
            set_learning_rate(optimizer, learning_rate(epoch))
            history.append(_epoch(state, data, training, seams, history, progress, graphs))
            with signals.deferred():
                state.save(history)
                run.log(history[-1])
                recorders.log(history[-1])
            progress.epoch(history[-1])

        return on_first(team, lambda: _finished(state, data, seams, recorders, history, before, costs))


def _finished(
    state: State,
    data: Data,
    seams: Seams,
    recorders: Recorders,
    history: History,
    before: Mapping[str, Measured],
    costs: Mapping[str, Costs],
) -> Summary:
    """Write what came out, and tell it; the summary that was written."""
    summary = summarize(state.distiller, data, before, history, costs)
    if state.team is not None:
        summary["processes"] = state.team.described()
    if details := seams.measuring.in_detail():
        state.run.write({DETAILS: written(details)})
    state.run.finish(summary)  # which marks it as finished: what is looked at later, it can do without
    recorders.finish(summary)
    write_insight(state.run.insight, state.distiller, data, seams.measuring.answers)
    return summary


def _extended(state: State, history: History, training: Training) -> None:
    """Have a run go on that was shorter; it is said if that makes it another one."""
    if state.run.extends is None:
        return
    past = history if state.inside is None else [*history, state.inside["asked"]]
    if (changed := extend(state.run, past, state.distiller, training)) is not None:
        say(f"{state.run.path} is not what {training.epochs} epochs from the start would be: {changed}")


def _waiting(distiller: Distiller, training: Training) -> str | None:
    """What steps wait for besides the device."""
    if distiller.team is not None:
        return "several processes"
    if training.optimizer.startswith(OF_TIMM) or training.optimizer in TWO_GRADIENTS:
        return f"--optimizer {training.optimizer}"
    if training.teacher_engine != "torch":
        return f"--teacher-engine {training.teacher_engine}"
    return "kept answers of teachers" if distiller.answered else None


def _recorders(
    state: State, training: Training, seams: Seams, history: History, say: Callable[[str], None]
) -> list[Recorder]:
    return [*recorders_of(training.log, state.run, history, say), *seams.recorders] if state.writes else []


def _epoch(
    state: State,
    data: Data,
    training: Training,
    seams: Seams,
    history: History,
    progress: Progress,
    graphs: StepGraphs | None,
) -> Epoch:
    """Train for an epoch, or for what is left of it, and measure the learners. A signal ends it when it is saved."""
    distiller, optimizer, epoch = state.distiller, state.optimizer, len(history)
    assert optimizer is not None
    lr = training.learning_rate()(epoch)
    weights = {term.name: term.weight_at(epoch) for term in distiller.terms}
    place = Place({"epoch": epoch, "lr": lr, "weights": weights}, state.inside)
    state.inside, saved, team = None, time.monotonic(), distiller.team

    def save_sometimes() -> None:
        nonlocal saved
        if training.save_every is not None and time.monotonic() - saved >= 60 * training.save_every:
            state.save_inside(history, place)
            saved = time.monotonic()
        if team is not None:
            team.stop.between()

    seam: dict[str, Any] = {"transforms": seams.transforms, "after_step": seams.after_step, "graphs": graphs}
    seam |= {"place": place, "between": save_sometimes, "averages": state.averages}
    averaged = None if state.averages is None else state.averages.networks
    try:
        trained = train_epoch(distiller, data.train, optimizer, epoch, training, progress, **seam)
        if team is not None:
            team.stop.now()
        last = epoch == training.epochs - 1
        learners = on_first(team, lambda: seams.measuring.learners(epoch, averaged, last=last))
    except signals.ENDINGS as error:
        with signals.ending():
            progress.say(_saved(error, state, history, place))
            error.said = True
        raise
    return {"epoch": epoch, "lr": lr, **trained, "learners": learners}


def _saved(error: BaseException, state: State, history: History, place: Place) -> str:
    """Save where a run was stopped; what to say of it."""
    checkpoint = state.run.checkpoint
    if place.moved:
        state.save_inside(history, place)
    elif not checkpoint.is_file():
        return f"potstill: stopped by {signals.name_of(error)} before the first step; the same command starts again"
    at = f"after step {place.step} of epoch {len(history)}" if place.step else f"after epoch {len(history) - 1}"
    return f"potstill: stopped by {signals.name_of(error)} {at}, saved in {checkpoint}; the same command continues"


def _inside(state: State) -> str:
    return "" if state.inside is None else f", after step {state.inside['step']}"
