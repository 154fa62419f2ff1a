"""Which engine answers the frozen teachers of a run: as asked, or the fastest of those that answer as torch does.

Every engine is checked at the start, on real images, and refused if it does not.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import torch
from torch import nn

from potstill.batch import as_batch, on_device, rows_of
from potstill.data.batch_sizes import parts_of_step
from potstill.data.data import Data
from potstill.distiller import Distiller
from potstill.engine.undisturbed import undisturbed
from potstill.errors import BadInput
from potstill.eval_mode import eval_mode
from potstill.ranks.slices import Sliced
from potstill.ranks.team import on_first
from potstill.runs.folder import RunFolder
from potstill.say import say
from potstill.teacher_engines.engines import ENGINES
from potstill.teacher_engines.trial import Candidate, Trial
from potstill.training import TeacherEngine as Name
from potstill.training import Training


def settle_teacher_engine(training: Training, distiller: Distiller, data: Data, run: RunFolder) -> Name:
    """Have an engine answer a distiller's frozen teachers; said, and recorded where it was found by measuring.

    A run that goes on has the engine that it has recorded, whatever would be measured now. Nothing in the distiller but
    ``answered``, nor any random state, is changed.

    Args:
        training: what was asked, in the precision that the run has.
        distiller: on its device, and compiled if it is.
        data: of which a batch is tried.
        run: its folder, taken.

    Returns:
        The name of the engine.

    Raises:
        BadInput: the engine that is asked for cannot be used, or does not answer as torch does.
    """
    asked = training.teacher_engine
    wanted = [one for one in distiller.passes.in_order if one.network in distiller.teachers]
    frozen = [one for one in wanted if one.taps.asked.keys() - one.taps.parameters().keys()]  # the others never run
    if not frozen:
        say(f"--teacher-engine {asked}: there is no frozen teacher to answer for")
        return "torch"
    device = distiller.weights.device
    example = on_device(as_batch(data.example()), device)
    differentiated = any(term.needs_graph for term in distiller.terms)
    sizes = _sizes(data, rows_of(example), training.accumulate)
    trial = Trial(frozen, example.get("images"), sizes, training.precision, differentiated)
    tried: dict[str, Candidate] = {}
    with _as_in_a_step(distiller, training):
        name: Name = asked
        if asked == "auto":
            name = on_first(distiller.team, lambda: _recorded_or_chosen(trial, device, run, tried))
        if name != "torch" and name not in tried:
            tried[name] = trial.candidate(name, device)
            for line in _lines(name, tried[name]):
                say(line)
    if name != "torch":
        distiller.answered.update(tried[name].passes)
    return name


@contextmanager
def _as_in_a_step(distiller: Distiller, training: Training) -> Iterator[None]:
    """Inside, teachers are as in a training step."""
    device = distiller.weights.device.type
    autocast = torch.autocast(device, torch.bfloat16, enabled=training.precision == "bf16")
    with undisturbed(), eval_mode(nn.ModuleList(distiller.teachers.values())), torch.no_grad(), autocast:
        yield


def _sizes(data: Data, example: int, parts: int) -> list[int]:
    """How many images this process's batches have, the usual number first; of somebody's own loader, the example's."""
    train = data.train
    sizes: list[int] = train.sizes(example) if isinstance(train, Sliced) else getattr(train, "sizes", [example])
    sizes = [len(rows) for size in sizes for rows in parts_of_step(size, parts)]
    return [size for size, _ in Counter(sizes).most_common()]


def _recorded_or_chosen(trial: Trial, device: torch.device, run: RunFolder, tried: dict[str, Candidate]) -> Name:
    """The engine that a run has; what is tried for it is added to ``tried``."""
    if (recorded := run.recorded.get("teacher_engine")) is None:
        recorded = _choose(trial, device, tried)
        run.record({**run.recorded, "teacher_engine": recorded})
    return cast(Name, recorded)


def _choose(trial: Trial, device: torch.device, tried: dict[str, Candidate]) -> str:
    """The fastest engine that answers as torch does; said with the figures, and with why the others do not count."""
    out: dict[str, str] = {}
    for name in ENGINES:
        try:
            tried[name] = trial.candidate(name, device)
        except BadInput as error:
            out[name] = str(error).removeprefix(f"--teacher-engine {name} ")
    for name in [name for name, candidate in tried.items() if not candidate.passes]:
        out[name] = _left(tried.pop(name))
    seconds = trial.timed(tried) if tried else {"torch": 0.0}
    chosen = min(seconds, key=lambda name: seconds[name])
    words = [f"--teacher-engine auto is {chosen}"]
    if tried:
        times = ", ".join(f"{1000 * took:.3g} ms by {name}" for name, took in seconds.items())
        words.append(f"{trial.sizes[0]} images take {times}")
    for name, candidate in tried.items():
        words += [f"{key} by {name}: {found.beside(own)}" for key, (own, found) in candidate.found.items()]
    if chosen in tried and tried[chosen].left:
        words.append(_left(tried[chosen]))
    say("; ".join([*words, *(f"not {name}: {reason}" for name, reason in out.items())]))
    return chosen


def _lines(name: str, candidate: Candidate) -> Iterator[str]:
    for key, (own, found) in candidate.found.items():
        yield f"{key} is answered by {name}: {found.beside(own)}"
    if candidate.left:
        yield _left(candidate)


def _left(candidate: Candidate) -> str:
    return "; ".join(f"{key} is answered by torch: {reason}" for key, reason in candidate.left.items())
