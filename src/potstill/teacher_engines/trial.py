"""Engines on trial: each is made for the teachers of a run, checked against torch, and timed beside it."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

import torch
from torch import Tensor
from torch.export import ExportedProgram

from potstill.compiler import uncompiled
from potstill.engine.precision import wait_for
from potstill.errors import BadInput
from potstill.forward_pass import ForwardPass
from potstill.teacher_engines.checking import Off, exactly, must_be_repeatable, off
from potstill.teacher_engines.engine_pass import EnginePass, laid_out, order_of
from potstill.teacher_engines.engines import ENGINES, Engine, NotServed, traced

SECONDS = 1.0
"""How long engines are timed, all together."""
FEWEST, MOST = 3, 30
"""How many times each is timed."""


class Ground(NamedTuple):
    """What engines need of a pass, and are checked by: its graph, torch's answers, and how far off these are."""

    program: ExportedProgram
    answers: list[dict[str, Tensor]]
    own: list[Off]


@dataclass(frozen=True)
class Candidate:
    """An engine's passes by their keys; how far torch is from float64 there, and it from torch; why others are torch's.

    ``found`` is of the run's usual batches.
    """

    passes: Mapping[str, EnginePass]
    found: Mapping[str, tuple[Off, Off]]
    left: Mapping[str, str]


class Trial:
    """Makes engines for passes and tries them, on real images in the batches that the run has.

    Args:
        frozen: the passes of frozen teachers.
        images: real ones; some come several times in a batch of more.
        sizes: how many images batches have, the usual number first.
        precision: of the run, whose autocast is on.
        differentiated: whether a loss differentiates by the images.
    """

    def __init__(
        self,
        frozen: Sequence[ForwardPass],
        images: Tensor | None,
        sizes: Sequence[int],
        precision: str,
        differentiated: bool,
    ) -> None:
        self.frozen, self.sizes, self.precision, self.differentiated = frozen, sizes, precision, differentiated
        self.batches = [] if images is None else [_of_size(images, size) for size in sizes]
        self._grounds: dict[str, Ground | NotServed] = {}

    def candidate(self, name: str, device: torch.device) -> Candidate:
        """What an engine answers.

        Raises:
            BadInput: it cannot be used here, or answers otherwise than torch.
        """
        engine = ENGINES[name]
        engine.ready(device, self.precision)
        passes: dict[str, EnginePass] = {}
        found: dict[str, tuple[Off, Off]] = {}
        left: dict[str, str] = {}
        for one in self.frozen:
            try:
                passes[one.key], found[one.key] = self._checked(engine, one)
            except NotServed as error:
                left[one.key] = str(error)
        return Candidate(passes, found, left)

    def _checked(self, engine: Engine, one: ForwardPass) -> tuple[EnginePass, tuple[Off, Off]]:
        """A pass by an engine, and how far it is off, in its usual batches.

        Raises:
            NotServed: the engine cannot be made for it.
            BadInput: it is off by more than rounding.
        """
        ground = self._ground(one)
        run = engine.make(ground.program, list(ground.answers[0]))
        sizes = frozenset(self.sizes) if engine.fixed else None
        served = EnginePass(one, engine.title, run, self.batches[0], ground.answers[0], sizes)
        found = []
        for images, answers, own in zip(self.batches, ground.answers, ground.own, strict=True):
            found.append(off(answers, served.answers(images), one.key))
            if not own.allows(found[-1]):
                raise BadInput(
                    f"--teacher-engine {engine.name} does not answer {len(images)} images as {one.key} does: "
                    f"{found[-1].beside(own)}"
                )
        return served, (ground.own[0], found[0])

    def _ground(self, one: ForwardPass) -> Ground:
        if one.key not in self._grounds:
            try:
                with uncompiled():
                    self._grounds[one.key] = self._make_ground(one)
            except NotServed as error:
                self._grounds[one.key] = error
        ground = self._grounds[one.key]
        if isinstance(ground, NotServed):
            raise ground
        return ground

    def _make_ground(self, one: ForwardPass) -> Ground:
        if one.inputs != ("images",):
            raise NotServed(f"it sees {' and '.join(one.inputs)}, not the images alone")
        if self.differentiated:
            raise NotServed("a loss differentiates by the images")
        answers = [one.taps(images) for images in self.batches]
        must_be_repeatable(one, self.batches[0], answers[0])
        exact = exactly(one, self.batches)
        own = [off(true, found, one.key) for true, found in zip(exact, answers, strict=True)]
        return Ground(traced(one.taps, self.batches[0]), answers, own)

    def timed(self, candidates: Mapping[str, Candidate]) -> dict[str, float]:
        """Seconds that all passes take by torch and by each engine, in turn: the median of each."""
        images = self.batches[0]
        served = {name: candidate.passes for name, candidate in candidates.items()}
        answering: dict[str, list[Callable[[Tensor], object]]] = {
            name: [passes[one.key].answers if one.key in passes else one.taps for one in self._on_images()]
            for name, passes in {"torch": {}, **served}.items()
        }
        times: dict[str, list[float]] = {name: [] for name in answering}
        begin = time.perf_counter()
        for number in range(MOST):
            if number >= FEWEST and time.perf_counter() - begin > SECONDS:
                break
            for name, answers in answering.items():
                times[name].append(_seconds(answers, images))
        return {name: median(found) for name, found in times.items()}

    def _on_images(self) -> list[ForwardPass]:
        return [one for one in self.frozen if one.inputs == ("images",)]


def _seconds(answers: Sequence[Callable[[Tensor], object]], images: Tensor) -> float:
    wait_for(images)
    begin = time.perf_counter()
    for answer in answers:
        answer(images)
    wait_for(images)
    return time.perf_counter() - begin


def _of_size(images: Tensor, size: int) -> Tensor:
    """So many of the images, again from the first one where there are fewer, as they lie in memory."""
    return laid_out(images[torch.arange(size, device=images.device) % len(images)], order_of(images))
