"""What the ranks of a run do together in every step."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor

from potstill.batch import Batch, of_labelled
from potstill.data.data import Data
from potstill.data.seeds import OF_RANK, seed_of
from potstill.engine.checkpoint import random_states, restore_random_states
from potstill.errors import BadInput
from potstill.forward_pass import ForwardPass
from potstill.ranks.gradients import sum_gradients
from potstill.ranks.inner import InnerPasses
from potstill.ranks.rows import parted
from potstill.ranks.slices import Sliced
from potstill.ranks.stop import Stop
from potstill.ranks.sync_batch_norm import SyncBatchNorm
from potstill.ranks.world import World
from potstill.runs.schema import Processes
from potstill.training import TWO_GRADIENTS

if TYPE_CHECKING:
    from potstill.distiller import Distiller
    from potstill.term import Term
    from potstill.training import Training

Result = TypeVar("Result")


class Team:
    """A rank of a run among the others: its rows of each batch, and what is summed and gathered.

    Args:
        world: the ranks.
        distiller: what trains.
        data: whole batches.
        training: of which seed, and whether batch norm is synchronised.

    Raises:
        BadInput: a loader, or a network, that does not go together with several processes.
    """

    def __init__(self, world: World, distiller: "Distiller", data: Data, training: "Training") -> None:
        self.world, self.distiller, self.seed = world, distiller, training.seed
        self.batches = Sliced(data.train, world)
        self.data = replace(data, train=self.batches)
        self.stop = Stop(world)
        self.sync = SyncBatchNorm(world) if training.sync_bn else None
        self.inner = InnerPasses(world, distiller, self.batches, synced=training.sync_bn)
        self.whole = [*sorted(self.inner.whole), *(term.name for term in distiller.terms if term.whole_batch)]
        self._parameters: dict[tuple[int, ...], list[Tensor]] = {}
        if training.optimizer in TWO_GRADIENTS:
            raise BadInput(
                f"--optimizer {training.optimizer} is for one process: the gradients of several are summed as one"
            )
        if self.sync and training.compile:
            raise BadInput("--sync-bn and --compile do not go together: compiled networks do not wait for others")

    @property
    def counts(self) -> list[int]:
        """The rows of every rank in the current batch."""
        return self.batches.counts

    @property
    def rows(self) -> int:
        """The rows of the current batch, of all ranks."""
        return sum(self.counts)

    @contextmanager
    def step(self, epoch: int, step: int) -> Iterator[None]:
        """A step: networks draw random numbers of this rank's own; what all ranks share is drawn in `together`."""
        self._common = self._random()
        torch.manual_seed(seed_of(self.seed, OF_RANK, self.world.rank, epoch, step))
        try:
            with self.sync or nullcontext(), self._counting(self.counts):
                yield
        finally:
            self._restore(self._common)

    @contextmanager
    def together(self) -> Iterator[None]:
        """What every rank computes of the whole batch: by the same random numbers, and batch norm sees all rows."""
        own = self._random()
        self._restore(self._common)
        try:
            with nullcontext() if self.sync is None else self.sync.resting():
                yield
        finally:
            self._common = self._random()
            self._restore(own)

    @contextmanager
    def given(self, one: ForwardPass, values: Batch) -> Iterator[Batch]:
        """What a pass sees on this rank, while it runs."""
        if one.key not in self.inner.keys:
            yield values
            return
        inputs, counts = self.inner.inputs(one, values)
        if one.key in self.inner.whole:
            with self.together(), parted(self.world.rank, self.world.size):
                yield inputs
        else:
            with self._counting(counts):
                yield inputs

    @contextmanager
    def computing(self, term: "Term", values: Batch) -> Iterator[Batch]:
        """What a term takes, while it is computed: with the rows of all ranks, if it compares them."""
        counts = self._counts(term, values)
        if "labels" in term.flat_addresses:
            values = self._labelled(term, values)
        if term.whole_batch:
            with self.together():
                yield self.inner.gathered(term.flat_addresses, counts, values)
        else:
            with self._counting(counts):
                yield values

    def share(self, term: "Term", values: Batch) -> float:
        """This rank's part of a term's mean: its rows of all ranks'."""
        counts = self._counts(term, values)
        return counts[self.world.rank] / max(1, sum(counts))

    def _counts(self, term: "Term", values: Batch) -> list[int]:
        """The rows of every rank that a term compares: of who takes labels, those that have one."""
        return self.inner.counts(term.flat_addresses[:1], values, "labels" in term.flat_addresses)

    def _labelled(self, term: "Term", values: Batch) -> Batch:
        """What a term takes of this rank's rows with labels; if none has, one stands in that counts for nothing."""
        if self.batches.labelled[self.world.rank] == 0:
            labels = values["labels"]
            values = {**values, "labels": labels[:1] if len(labels) else labels.new_zeros(1, *labels.shape[1:])}
        return of_labelled(values, term.flat_addresses)

    def sum(self, turn: Sequence[int], values: dict[str, Tensor]) -> dict[str, Tensor]:
        """Sum gradients and the terms' shares over all ranks."""
        return sum_gradients(self._reached(tuple(turn)), values, self.world)

    def described(self) -> Processes:
        """What the run's summary says of its processes."""
        counted = "the images of all" if self.sync is not None else "each process's own images"
        return {"count": self.world.size, "whole_batch": self.whole, "batch_norm": counted}

    def begin(self, after_step: Any) -> None:
        """Have all ranks begin with what rank 0 has: weights, random numbers, and the state of ``after_step``."""
        device = self.distiller.weights.device
        for module in (self.distiller.losses, self.distiller.ranges, *self.distiller.learners.values()):
            self.world.align(module)
        states = self.world.on_first(lambda: {**random_states(), "cuda": self._random()[1:]})
        restore_random_states({**states, "cuda": states["cuda"] * torch.cuda.device_count()})
        if after_step is not None:
            state = self.world.on_first(after_step.state_dict, device)
            if self.world.rank:
                after_step.load_state_dict(state)

    @contextmanager
    def _counting(self, counts: list[int]) -> Iterator[None]:
        """Batch norm counts this rank's rows, unless it has none and one stands in."""
        if self.sync is None:
            yield
            return
        before, self.sync.counts = self.sync.counts, counts[self.world.rank] > 0
        try:
            yield
        finally:
            self.sync.counts = before

    def _reached(self, turn: tuple[int, ...]) -> list[Tensor]:
        """All parameters that the terms of a turn may reach, each once, in the same order on every rank."""
        if turn not in self._parameters:
            terms = tuple(self.distiller.terms[i] for i in turn)
            networks = [self.distiller.networks[n] for n in self.distiller.passes.plan(terms).reached]
            names = [name for name, network in self.distiller.networks.items() if network in networks]
            modules = [*(self.distiller.networks[name] for name in names), *terms]
            found = {id(p): p for module in modules for p in module.parameters() if p.requires_grad}
            self._parameters[turn] = list(found.values())
        return self._parameters[turn]

    def _random(self) -> list[Tensor]:
        device = self.distiller.weights.device
        return [torch.get_rng_state(), *([torch.cuda.get_rng_state(device)] if device.type == "cuda" else [])]

    def _restore(self, states: list[Tensor]) -> None:
        torch.set_rng_state(states[0])
        if len(states) > 1:
            torch.cuda.set_rng_state(states[1], self.distiller.weights.device)


def on_first(team: Team | None, function: Callable[[], Result]) -> Result:
    """What a function returns, which rank 0 alone calls where there are several."""
    return function() if team is None else team.world.on_first(function, team.distiller.weights.device)
