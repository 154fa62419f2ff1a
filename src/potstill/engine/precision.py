"""In which precision the networks of a run compute: as asked, or what a short measurement finds.

A CPU without instructions for bfloat16 computes in it too, many times slower than in float32, and nothing else says so.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from potstill.batch import Batch, as_batch, on_device, part_of, rows_of
from potstill.compiler import uncompiled
from potstill.data.data import Data
from potstill.device import widest
from potstill.distiller import Distiller
from potstill.engine.snapshot import Snapshot
from potstill.runs.folder import RunFolder
from potstill.say import say
from potstill.training import Training

LOSS, GRADIENT = 0.02, 0.4
"""How far bfloat16's may be from float32's, of these: rounding to 8 bits, layer after layer, has been seen to change a
new network's gradient by 0.1 to 0.3 of its length; gradients of nothing in common are 1.4 apart.
"""
SECONDS = 0.3
"""The length of a measurement from which on none of more images follows."""
FEWEST, MORE = 2, 4
"""Images to begin with, and how many times as many come next: where bfloat16 is slow, few are enough to see it."""


class Compared(NamedTuple):
    """What was found: how many times as long bf16 takes, on how many images, and how far its numbers are off."""

    times: float
    images: int
    loss: float
    gradient: float

    @property
    def is_close(self) -> bool:
        """Whether its numbers are close enough."""
        return self.loss <= LOSS and self.gradient <= GRADIENT


def settle_precision(training: Training, distiller: Distiller, data: Data, run: RunFolder) -> Training:
    """The training with the precision that the run has, said and recorded where it was found by measuring.

    A run that goes on has what it has recorded, whatever would be measured now.

    Args:
        training: what was asked.
        distiller: on its device.
        data: whose first batch is measured; nothing in the distiller, nor any random state, is changed by it.
        run: its folder, taken.
    """
    if training.precision == "auto":
        chosen = run.recorded.get("precision")
        if chosen is None:
            chosen = _choose(compare(distiller, data.example()))
            run.record({**run.recorded, "precision": chosen})
        return replace(training, precision="bf16" if chosen == "bf16" else "fp32")
    fresh = not run.checkpoint.is_file()
    if training.precision == "bf16" and distiller.weights.device.type == "cpu" and fresh:
        found = compare(distiller, data.example())
        if found.times > 1:
            say(
                f"this CPU has no fast bfloat16: a step of {found.images} images takes {found.times:.1f} times as long "
                "as in float32; --precision fp32 is faster"
            )
    return training


def _choose(found: Compared) -> str:
    """The faster one, if it is close; said with the reason."""
    chosen = "bf16" if found.times < 1 and found.is_close else "fp32"
    measured = f"a step of {found.images} images takes {found.times:.2f} times as long in bf16 as in fp32"
    off = f"its loss is off by {100 * found.loss:.2g} %, its gradient by {100 * found.gradient:.2g} %"
    within = f"at most {100 * LOSS:g} % and {100 * GRADIENT:g} % are close enough"
    say(f"--precision auto is {chosen}: {measured}; {off}, where {within}")
    return chosen


def compare(distiller: Distiller, example: Any) -> Compared:
    """Compare a step in bf16 with one in fp32, forward and backward, on as many images of a batch as take a moment."""
    batch = on_device(as_batch(example), distiller.weights.device)
    images = min(FEWEST, rows_of(batch))
    with _left_as_it_was(distiller) as again:
        for precision in ("fp32", "bf16"):
            _timed(distiller, _first(batch, images), precision, again)  # the first time, libraries prepare
        while True:
            exact, seconds = _timed(distiller, _first(batch, images), "fp32", again)
            rounded, seconds_rounded = _timed(distiller, _first(batch, images), "bf16", again)
            if images >= rows_of(batch) or seconds + seconds_rounded > SECONDS:
                break
            images = min(MORE * images, rows_of(batch))
    loss, gradient = (float((a - b).norm() / b.norm().clamp(min=1e-30)) for a, b in zip(rounded, exact, strict=True))
    # A loss that is not finite is far off: no comparison with it is true.
    return Compared(seconds_rounded / seconds, images, _finite(loss), _finite(gradient))


def _finite(value: float) -> float:
    return value if value == value else float("inf")


def _timed(distiller: Distiller, batch: Batch, precision: str, again: Snapshot) -> tuple[tuple[Tensor, Tensor], float]:
    """The loss and all gradients of a step from the same start, as two vectors, and the seconds it takes."""
    again.restore(replaced=True)
    wait_for(distiller.weights)
    begin = time.perf_counter()
    with torch.autocast(distiller.weights.device.type, torch.bfloat16, enabled=precision == "bf16"):
        total, _ = distiller(batch)
    total.backward()
    wait_for(distiller.weights)
    seconds = time.perf_counter() - begin
    found = [p.grad.detach().flatten().to(widest(p.device)) for p in distiller.parameters() if p.grad is not None]
    distiller.zero_grad()
    return (total.detach().to(widest(total.device)), torch.cat(found)), seconds


@contextmanager
def _left_as_it_was(distiller: Distiller) -> Iterator[Snapshot]:
    """Whatever steps change inside is as before; compiled networks run as they are written."""
    mode, before = distiller.training, Snapshot(distiller)
    team, distiller.team = distiller.team, None  # other processes do not take part
    try:
        with uncompiled():
            distiller.train()
            yield before
    finally:
        before.restore(replaced=True)
        distiller.zero_grad()
        distiller.train(mode)
        distiller.team = team


def _first(batch: Batch, images: int) -> Batch:
    """The first rows of every entry that has as many as images, and of labels, of which there may be fewer."""
    return part_of(batch, range(images), range(0))


def wait_for(value: Tensor) -> None:
    """Wait until its device has nothing to do, to measure a time."""
    if value.is_cuda:
        torch.cuda.synchronize(value.device)
