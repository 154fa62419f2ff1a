"""The distiller: networks and terms as one module that turns a batch into a loss."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from potstill.batch import Batch, as_batch
from potstill.errors import BadInput, unknown
from potstill.schedules import Schedule
from potstill.taps import Taps

Address = str | tuple[str, ...]
Network = TypeVar("Network", bound=nn.Module)


def freeze(network: Network) -> Network:
    """Make a teacher: no parameter trains any more, batch norm and dropout rest. Returns the same network."""
    return network.requires_grad_(False).eval()


class Term(nn.Module):
    """A weighted loss between tensors: ``weight(epoch) * loss(first, *rest)``.

    Gradients reach the first input only: the rest is detached. That one rule is the frozen teacher of distillation,
    the fixed peer of mutual learning and the gradient block of Rocket Launching.

    Args:
        loss: any callable of tensors that returns a scalar. If it has a method ``build(*inputs)``, that is called
            once with a real batch, to make the layers and buffers whose sizes depend on it. With an attribute
            ``needs_graph`` its inputs come undetached, teachers' too, with a graph back to ``images``.
        addresses: where its inputs come from: a tap (``student.layer3``), an entry of the batch (``labels``), or a
            tuple of those, which arrives as a tuple of tensors.
        weight: a number, or a schedule: a function of the epoch, counted from 0. Where it is 0 the term is left out.
        both: let gradients reach every input.
        name: what the term is called in logs; by default the loss and its first address: ``KD student``.
    """

    def __init__(
        self,
        loss: Callable[..., Tensor],
        *addresses: Address,
        weight: float | Schedule = 1.0,
        both: bool = False,
        name: str | None = None,
    ) -> None:
        super().__init__()
        if not addresses:
            raise BadInput(f"a term of {loss} needs an address, for example 'student'")
        self.loss, self.addresses, self.weight, self.both = loss, addresses, weight, both
        self.flat_addresses = list(_flat(addresses))
        self.reached = list(_flat(addresses if both else addresses[:1]))  # by gradients
        # Losses that differentiate a network by its inputs detach what they must themselves.
        self.needs_graph = bool(getattr(loss, "needs_graph", False))
        self.name = name or f"{getattr(loss, '__name__', type(loss).__name__)} {self.flat_addresses[0]}"

    def weight_at(self, epoch: int) -> float:
        """The weight in ``epoch``, counted from 0."""
        return float(self.weight(epoch) if callable(self.weight) else self.weight)

    def inputs(self, values: Batch) -> list[Any]:
        """The loss's inputs out of ``values`` by address: float32 at least, and all but the first detached.

        With ``needs_graph`` they come as they are: even a cast copy is not what the logits were computed from.
        """
        if self.needs_graph:
            return [_take(values, address, detach=False, cast=False) for address in self.addresses]
        return [_take(values, a, detach=i > 0 and not self.both) for i, a in enumerate(self.addresses)]

    def build(self, values: Batch) -> None:
        """Let the loss make its parts from a real batch."""
        if hasattr(self.loss, "build"):
            self.loss.build(*self.inputs(values))

    def forward(self, values: Batch) -> Tensor:
        """The unweighted loss, a scalar; without autocast, under which a KL divergence can come out negative."""
        with torch.autocast(values[self.flat_addresses[0]].device.type, enabled=False):
            return self.loss(*self.inputs(values))


class Distiller(nn.Module):
    """Networks and terms as one module: ``forward(batch) -> (total, {term: value})``.

    A network without a trainable parameter is a teacher (see `freeze`): it stays in eval mode, even after
    ``distiller.train()``, and runs without autograd. Every other network is a learner. Each network that a term
    mentions runs exactly once a batch.

    Args:
        networks: the networks by name.
        terms: what is minimised: the sum of their weighted losses.
        example: a real batch, seen once to check every address and to build the losses' parts: a dictionary with
            ``images`` (N, C, H, W), ``labels`` (N,) and whatever else terms address, or a pair (images, labels).
        seed: of the first weights of what the losses build.
        alternate: learners take turns: a batch is as many steps as there are learners, each of the terms whose first
            input is one learner's, after the steps of those before it.

    Raises:
        BadInput: an address that does not exist or is not safe, or two terms of one name.

    >>> batch = torch.randn(4, 8), torch.tensor([0, 1, 2, 0])
    >>> networks = {"student": nn.Linear(8, 3), "teacher": freeze(nn.Linear(8, 3))}
    >>> distiller = Distiller(networks, example=batch, terms=[
    ...     Term(nn.functional.cross_entropy, "student", "labels"),
    ...     Term(nn.functional.mse_loss, "student", "teacher", weight=0.1)])
    >>> total, values = distiller(batch)
    >>> list(values)
    ['cross_entropy student', 'mse_loss student']
    """

    weights: Tensor  # of this epoch, on the device, so that a step needs no number from the host

    def __init__(
        self,
        networks: Mapping[str, nn.Module],
        terms: Sequence[Term],
        example: Any,
        seed: int = 0,
        alternate: bool = False,
    ) -> None:
        super().__init__()
        self.alternate = alternate
        names = [term.name for term in terms]
        if doubled := [name for name in names if names.count(name) > 1]:
            raise BadInput(f"two terms are called {doubled[0]!r}; tell them apart with name=...")
        self.networks = nn.ModuleDict(networks)
        self.learners = {n: net for n, net in networks.items() if any(p.requires_grad for p in net.parameters())}
        self.teachers = {n: net for n, net in networks.items() if n not in self.learners}
        self.terms = list(terms)
        self.losses = nn.ModuleList(terms)  # what they train or keep is part of this module
        parameter = next(self.networks.parameters(), as_batch(example)["images"])
        batch = {key: value.to(parameter.device) for key, value in as_batch(example).items()}
        addresses = {name: [name] for name in networks}
        for address in dict.fromkeys(a for term in terms for a in term.flat_addresses):
            owner = _owner(address)
            if owner not in networks and address not in batch:
                raise unknown("address", address, [*networks, *batch])
            addresses.get(owner, []).append(address)
        self.taps = {name: Taps(network, name, addresses[name]) for name, network in networks.items()}
        dtype = torch.promote_types(parameter.dtype, torch.float32)
        self.register_buffer("weights", torch.zeros(len(terms), dtype=dtype, device=parameter.device), False)
        self._try(batch, seed)
        self.computed: set[int] = set()  # the terms that have been, once
        self.set_epoch(0)
        self.train()

    def _try(self, batch: Batch, seed: int) -> None:
        """One pass in eval mode, so that no statistic moves: checks the taps and builds the losses."""
        modes = [(module, module.training) for module in self.networks.modules()]
        self.networks.eval()
        with torch.no_grad():
            values = {**batch}
            for taps in self.taps.values():
                values |= taps.check(batch["images"])
            with torch.random.fork_rng():  # what is drawn here disturbs nothing that is drawn later
                torch.manual_seed(seed)
                for term in self.terms:
                    with _naming(term, values):
                        term.build(values)
        for module, mode in modes:
            module.training = mode

    def set_epoch(self, epoch: int) -> None:
        """Take the terms' weights of ``epoch``, counted from 0. A term of weight 0 is left out: 0 * nan is nan."""
        weights = [term.weight_at(epoch) for term in self.terms]
        self.weights.copy_(torch.tensor(weights, dtype=self.weights.dtype))
        self.active = [i for i, weight in enumerate(weights) if weight != 0]
        if not self.active:
            raise BadInput(f"in epoch {epoch} every term has weight 0: there is nothing to learn")
        owners = [_owner(self.terms[i].flat_addresses[0]) for i in self.active]
        turns = [[i for i, o in zip(self.active, owners, strict=True) if o == owner] for owner in dict.fromkeys(owners)]
        self.turns = turns if self.alternate else [self.active]

    def train(self, mode: bool = True) -> "Distiller":
        """Set the mode of learners and losses; teachers stay in eval mode, whose statistics must not drift."""
        super().train(mode)
        for teacher in self.teachers.values():
            teacher.eval()
        return self

    def forward(self, batch: Any, turn: Sequence[int] | None = None) -> tuple[Tensor, dict[str, Tensor]]:
        """The total to minimise, a scalar, and each active term's value: unweighted and detached.

        ``turn`` are the indices of the terms to take, one of ``turns``; all active ones by default.
        """
        values = {**as_batch(batch)}
        terms = {i: self.terms[i] for i in (self.active if turn is None else turn)}
        mentioned = {_owner(address) for term in terms.values() for address in term.flat_addresses}
        learning = {_owner(address) for term in terms.values() for address in term.reached}
        graph = any(term.needs_graph for term in terms.values())
        if graph:
            values["images"] = values["images"].detach().requires_grad_()
        for name, taps in self.taps.items():
            if name in mentioned:
                learns = name in self.learners and name in learning
                # Fused attention cannot be differentiated twice.
                attention = sdpa_kernel(SDPBackend.MATH) if graph else nullcontext()
                with attention, torch.set_grad_enabled(torch.is_grad_enabled() and (graph or learns)):
                    values |= taps(values["images"])
        results = {i: self._value(i, values) for i in terms}
        total = torch.stack([self.weights[i] * result for i, result in results.items()]).sum()
        return total, {self.terms[i].name: result.detach() for i, result in results.items()}

    def _value(self, index: int, values: Batch) -> Tensor:
        """A term's value. What goes wrong the first time is due to its inputs; anything later is not."""
        with nullcontext() if index in self.computed else _naming(self.terms[index], values):
            value: Tensor = self.terms[index](values)
        self.computed.add(index)
        return value


@contextmanager
def _naming(term: Term, values: Batch) -> Iterator[None]:
    """Say what a loss was given, as ``BadInput``, if it cannot take it: the term, its addresses and their shapes."""
    try:
        yield
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        if isinstance(error, torch.OutOfMemoryError) or "allocate memory" in str(error):
            raise
        given = ", ".join(f"{address} {tuple(values[address].shape)}" for address in term.flat_addresses)
        reason = str(error).partition("\n")[0]
        raise BadInput(f"term '{term.name}' cannot take {given}: {reason}") from error


def _take(values: Batch, address: Any, detach: bool, cast: bool = True) -> Any:
    if isinstance(address, tuple):
        return tuple(_take(values, part, detach, cast) for part in address)
    value = values[address].detach() if detach else values[address]
    return value.float() if cast and value.dtype in (torch.bfloat16, torch.float16) else value


def _owner(address: str) -> str:
    return address.partition(".")[0]


def _flat(addresses: Any) -> Iterator[str]:
    for address in addresses:
        yield from _flat(address) if isinstance(address, tuple) else [address]
