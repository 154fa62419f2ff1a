"""Teachers' forward passes that several distillers of one process share: who needs an answer first gets it for all.

Two networks are one teacher here if their weights, layers and inputs are the same. An answer holds as long as it is
asked for with the very same images, number by number, so that nothing about loaders or transforms has to be known; with
other ones it is made anew. It holds whatever any of the distillers taps.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from potstill.batch import Batch
from potstill.distiller import Distiller
from potstill.forward_pass import ForwardPass
from potstill.say import say
from potstill.taps import Taps

Answer = dict[str, Tensor]

_shared: "dict[str, SharedPass] | None" = None


@contextmanager
def sharing() -> "Iterator[dict[str, SharedPass]]":
    """Have the distillers that `join` inside share the passes of equal teachers."""
    global _shared
    assert _shared is None, "sharing within sharing"
    _shared = {}
    try:
        yield _shared
    finally:
        _shared = None


def join(distiller: Distiller) -> None:
    """Let a distiller share the passes of its teachers on plain images, where there is somebody to share them with.

    But for those that an engine answers: its bits depend on what else is tapped in the same pass.
    """
    if _shared is None:
        return
    from potstill.answers.key import of_network  # what a lone run does without

    for one in distiller.passes.in_order:
        if one.key in distiller.answered:
            say(f"what {one.key} answers is not shared with the runs beside this one: an engine's bits are its own")
        elif one.network in distiller.teachers and one.inputs == ("images",):
            key = json.dumps(of_network(one.taps.network), sort_keys=True)
            distiller.answered[one.key] = _shared.setdefault(key, SharedPass()).for_one(one)


class SharedPass:
    """One teacher, for everybody who taps it: runs once for images, and answers everybody with that."""

    def __init__(self) -> None:
        self.taps: Taps | None = None
        self.tails: set[str] = set()  # addresses without the network's name, which need not be the same for all
        self.copies = False
        self.images: Tensor | None = None
        self.surroundings: Any = None
        self.answer: Answer = {}
        self.runs = 0

    def for_one(self, one: ForwardPass) -> Callable[[Batch], Answer]:
        """What answers a pass from now on: with the tensors at its own addresses."""
        tails = {text: text.removeprefix(one.key) for text in one.taps.asked}
        if not self.tails.issuperset(tails.values()):
            self.tails |= set(tails.values())
            self.taps = self.images = None
        self.copies = self.copies or one.taps.copies

        def answer(values: Batch) -> Answer:
            found = self._answer(one, values["images"])
            return {text: found[tail] for text, tail in tails.items() if tail in found}

        return answer

    def _answer(self, one: ForwardPass, images: Tensor) -> Answer:
        now = _surroundings(images)
        if self.images is None or self.surroundings != now or not _same(self.images, images):
            if self.taps is None:
                self.taps = Taps(one.taps.network, one.key, [f"{one.key}{tail}" for tail in sorted(self.tails)])
                self.taps.copies = self.copies
            self.answer = {text.removeprefix(one.key): value for text, value in self.taps(images).items()}
            self.images, self.surroundings = images, now
            self.runs += 1
        return self.answer


def _surroundings(images: Tensor) -> tuple[object, ...]:
    """What else bits depend on: the precision, and how the images lie in memory."""
    kind = images.device.type
    return torch.is_autocast_enabled(kind), torch.get_autocast_dtype(kind), images.stride(), images.dtype


def _same(one: Tensor, other: Tensor) -> bool:
    return one is other or (one.shape == other.shape and one.device == other.device and torch.equal(one, other))
