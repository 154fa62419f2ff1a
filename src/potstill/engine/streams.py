"""Streams: terms whose gradients stay apart until the step, for an optimiser that takes two of them.

What a teacher is asked for is one stream, what the student would learn alone is the other. An optimiser of two
gradients has a method ``backward(task, distillation)``, see `potstill.optimizers.DOT`; all others get their sum.
"""

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from potstill.address import owner
from potstill.batch import Batch
from potstill.distiller import Distiller
from potstill.engine.parts import Share
from potstill.errors import BadInput
from potstill.training import TWO_GRADIENTS, Training


def differentiated(
    distiller: Distiller, optimizer: Optimizer, batch: Batch, turn: Sequence[int], share: Share | None = None
) -> tuple[Callable[..., Any], list[Tensor], dict[str, Tensor]]:
    """A forward pass: what is to be called with its totals for their gradients, the totals, and each term's value.
    Of a part of a batch all are the ``share`` of it that it is.
    """
    results = distiller.results(batch, turn)
    if share is not None:
        results = {i: share.of(distiller.terms[i]) * result for i, result in results.items()}
    values = {distiller.terms[i].name: result.detach() for i, result in results.items()}
    two: Callable[..., Any] | None = getattr(optimizer, "backward", None)
    if two is None:
        return Tensor.backward, [distiller.total(results)], values
    asked = asking(distiller)
    streams = [{i: results[i] for i in results if (i in asked) == whether} for whether in (False, True)]
    totals = [distiller.total(stream) if stream else distiller.weights.new_zeros(()) for stream in streams]
    return two, totals, values


def backward_pass(distiller: Distiller) -> str:
    """What messages call it: with the terms that differentiate a second time, which not all operations can be."""
    twice = [f"'{term.name}'" for term in distiller.terms if getattr(term.loss, "needs_graph", False)]
    needing = f", for which {', '.join(twice)} needs second derivatives of the network," if twice else ""
    return f"the backward pass{needing}"


def asking(distiller: Distiller) -> list[int]:
    """The indices of the terms in which a teacher is asked."""
    return [
        i
        for i, term in enumerate(distiller.terms)
        if any(owner(text) in distiller.teachers for text in term.flat_addresses)
    ]


def check_streams(training: Training, distiller: Distiller) -> None:
    """Refuse what an optimiser of two gradients does not go together with.

    Raises:
        BadInput: such a thing, or nothing that a teacher is asked for.
    """
    if training.optimizer not in TWO_GRADIENTS:
        return
    flag = f"--optimizer {training.optimizer}"
    if not asking(distiller):
        raise BadInput(f"{flag} keeps apart what a teacher says, and no term asks one; without, take sgd")
    if training.clip is not None:
        raise BadInput(f"{flag} has two gradients, and --clip {training.clip:g} shortens one; leave out one of them")
