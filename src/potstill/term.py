"""A term: a loss, where its inputs come from, and what it weighs."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from potstill.address import Address
from potstill.batch import Batch, of_labelled
from potstill.checked import check, checked
from potstill.errors import BadInput
from potstill.guard import foreign
from potstill.ranges import NotNegative
from potstill.schedules import Schedule

Addresses = str | tuple[str, ...]


class Term(nn.Module):
    """A weighted loss between tensors: ``weight(epoch) * loss(first, *rest)``.

    Gradients reach the first input only: the rest is detached. That one rule is the frozen teacher of distillation,
    the fixed peer of mutual learning and the gradient block of Rocket Launching.

    Args:
        loss: any callable of tensors that returns a scalar. If it has a method ``build(*inputs)``, that is called
            once with a few real images, to make the layers and buffers whose sizes depend on them. With an attribute
            ``needs_graph`` its inputs come undetached, teachers' too, with a graph back to ``images``; with
            ``whole_batch`` they are the rows of all processes that train a run.
        addresses: where its inputs come from, see `potstill.address`: a tap (``student.layer3``), an entry of the batch
            (``labels``), or a tuple of those, which arrives as a tuple of tensors.
        weight: a number of 0 or more, or a schedule: a function of the epoch, counted from 0, that returns such. Where
            it is 0 the term is left out. What is to be maximised is a loss that returns its negative.
        both: let gradients reach every input.
        name: what the term is called in logs; by default the loss and its first address: ``KD student``.

    Raises:
        BadInput: no address, or one that is none; a class in the place of a loss; a weight below 0, or not finite.

    >>> import potstill as ps
    >>> falling = ps.schedules.linear(1000.0, epochs=160)
    >>> term = ps.Term(ps.losses.AT(), "student.stage3", "teacher.stage3", weight=falling)
    >>> term.name, term.weight_at(epoch=0), term.weight_at(epoch=80)
    ('AT student.stage3', 1000.0, 500.0)
    """

    @checked
    def __init__(
        self,
        loss: Callable[..., Tensor],
        *addresses: Addresses,
        weight: NotNegative | Schedule = 1.0,
        both: bool = False,
        name: str | None = None,
    ) -> None:
        super().__init__()
        if isinstance(loss, type):
            raise BadInput(f"{loss.__name__} is a class, not a loss: write Term({loss.__name__}(), ...)")
        self.loss, self.addresses, self.weight, self.both = loss, addresses, weight, both
        self.flat_addresses = [str(Address.parse(text)) for text in _flat(addresses)]
        if not self.flat_addresses:
            raise BadInput(f"a term of {loss} needs an address, for example 'student'")
        self.reached = list(_flat(addresses if both else addresses[:1]))  # by gradients
        # Losses that differentiate a network by its inputs detach what they must themselves.
        self.needs_graph = bool(getattr(loss, "needs_graph", False))
        self.whole_batch = bool(getattr(loss, "whole_batch", False))
        if self.whole_batch and self.needs_graph:
            raise BadInput(
                f"{type(loss).__name__} has both whole_batch and needs_graph: gathered rows have no such graph"
            )
        self.name = name or f"{getattr(loss, '__name__', type(loss).__name__)} {self.flat_addresses[0]}"

    def scaled(self, factor: float, name: str | None = None) -> "Term":
        """The same loss in a new term of ``factor`` times the weight, which stays a schedule if it is one."""
        weight = partial(_product, self.weight, factor) if callable(self.weight) else self.weight * factor
        return Term(self.loss, *self.addresses, weight=weight, both=self.both, name=name or self.name)

    def weight_at(self, epoch: int) -> float:
        """The weight in ``epoch``, counted from 0.

        Raises:
            BadInput: a schedule that fails, or returns what is no weight.
        """
        if not callable(self.weight):
            return float(self.weight)
        with foreign(f"term '{self.name}': its weight in epoch {epoch}"):
            weight = self.weight(epoch)
        check(weight, NotNegative, f"term '{self.name}': its weight in epoch {epoch}")
        return float(weight)

    def inputs(self, values: Batch) -> list[Any]:
        """The loss's inputs out of ``values`` by address: float32 at least, and all but the first detached.

        With ``needs_graph`` they come as they are: even a cast copy is not what the logits were computed from. Who
        takes labels gets the rows that have one.
        """
        if "labels" in self.flat_addresses:
            values = of_labelled(values, self.flat_addresses)
        if self.needs_graph:
            return [_take(values, address, detach=False, cast=False) for address in self.addresses]
        return [_take(values, a, detach=i > 0 and not self.both) for i, a in enumerate(self.addresses)]

    def build(self, values: Batch) -> None:
        """Let the loss make its parts from a few real images."""
        if hasattr(self.loss, "build"):
            self.loss.build(*self.inputs(values))

    def forward(self, values: Batch) -> Tensor:
        """The unweighted loss, a scalar; without autocast, under which a KL divergence can come out negative.

        It is 0 for who takes labels, in a part of a batch of which no row has one.
        """
        if "labels" in self.flat_addresses and len(values["labels"]) == 0:
            return values[self.flat_addresses[0]][:0].sum()  # with a graph: other processes may wait for its backward
        with torch.autocast(values[self.flat_addresses[0]].device.type, enabled=False):
            return self.loss(*self.inputs(values))


def _product(schedule: Schedule, factor: float, epoch: int) -> float:
    return factor * schedule(epoch)


def _take(values: Batch, address: Any, detach: bool, cast: bool = True) -> Any:
    if isinstance(address, tuple):
        return tuple(_take(values, part, detach, cast) for part in address)
    value = values[address].detach() if detach else values[address]
    return value.float() if cast and value.dtype in (torch.bfloat16, torch.float16) else value


def _flat(addresses: Any) -> Iterator[str]:
    for address in addresses:
        yield from _flat(address) if isinstance(address, tuple) else [address]


def one_number(value: Any) -> Tensor:
    """What a loss has returned, if it is one number.

    Raises:
        ValueError: it is something else.
    """
    if isinstance(value, Tensor) and not value.dim():
        return value
    found = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
    raise ValueError(f"a loss returns one number, a tensor without dimensions, not {found}: take its mean")
