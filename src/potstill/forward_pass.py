"""Forward passes: each pair of a network and an input that terms mention runs once a batch, in an order that works."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor, nn

from potstill.address import Address
from potstill.errors import BadInput, unknown
from potstill.taps import Taps
from potstill.term import Addresses, Term

GIVEN = ("epoch", "progress")
"""Entries that the distiller adds to every batch."""


@dataclass(frozen=True, eq=False)
class ForwardPass:
    """A network run on an input.

    Args:
        key: how addresses begin that are recorded in it: ``student``, or ``student@strong``.
        network: the name of the network.
        inputs: the addresses of what it is called with.
        needs: the keys of the passes that come before, since they give these inputs.
        taps: runs it.
    """

    key: str
    network: str
    inputs: tuple[str, ...]
    needs: frozenset[str]
    taps: Taps


class Plan(NamedTuple):
    """What some terms need: which passes, the networks that their gradients reach, and whether all keep their graph."""

    passes: list[ForwardPass]
    reached: set[str]
    graph: bool


class ForwardPasses:
    """All passes that some terms need, each after those that it needs, and else those of frozen networks first.

    Frozen ones first, because a teacher needs memory only while it runs: as long as there is no student's graph yet, it
    is the memory that the student will need, which need not be returned and asked for again.

    Args:
        networks: the networks by name.
        frozen: the names of those that do not learn.
        terms: what asks for tensors.
        entries: the names of the batch's entries.
        inputs: what networks are called with where that is not ``images``: an address, or several.

    Raises:
        BadInput: an address, or an input, that does not exist; inputs that need each other.
    """

    def __init__(
        self,
        networks: Mapping[str, nn.Module],
        frozen: Collection[str],
        terms: Iterable[Term],
        entries: Collection[str],
        inputs: Mapping[str, Addresses],
    ) -> None:
        self.networks, self.entries, self.usual_inputs = networks, {*entries, *GIVEN}, inputs
        self.frozen = frozenset(frozen)
        if stray := [name for name in inputs if name not in networks]:
            raise unknown("network with an input of its own", stray[0], networks)
        asked: dict[str, list[str]] = {}
        waiting = list(dict.fromkeys(text for term in terms for text in term.flat_addresses))
        while waiting:
            address = self._known(waiting.pop(0))
            if address is None:
                continue
            if self._key(address) not in asked:
                asked[self._key(address)] = []
                waiting += self._inputs_of(address)
            if str(address) not in asked[self._key(address)]:
                asked[self._key(address)].append(str(address))
        passes = [self._make(key, addresses) for key, addresses in asked.items()]
        names = list(networks)
        passes.sort(key=lambda one: (one.network not in frozen, names.index(one.network)))
        self.in_order = _sorted_by_needs(passes)
        self._plans: dict[tuple[Term, ...], Plan] = {}

    def _known(self, text: str) -> Address | None:
        """The address, if it is one of a network; None for an entry of the batch."""
        address = Address.parse(text)
        if address.network in self.networks:
            return address
        if text not in self.entries:
            raise unknown("address", text, [*self.networks, *sorted(self.entries)])
        return None

    def _key(self, address: Address) -> str:
        """What names the pass of an address: the network alone where it is called as usual, however that is written."""
        usual = address.input is None or (address.input,) == self._usual(address.network)
        return address.network if usual else f"{address.network}@{address.input}"

    def _usual(self, network: str) -> tuple[str, ...]:
        usual = self.usual_inputs.get(network, "images")
        return usual if isinstance(usual, tuple) else (usual,)

    def _inputs_of(self, address: Address) -> tuple[str, ...]:
        """What the pass of an address calls its network with."""
        if address.input is None:
            return self._usual(address.network)
        if address.input not in self.entries and address.input not in self.networks:
            raise unknown(f"input of {self._key(address)!r}", address.input, [*sorted(self.entries), *self.networks])
        return (address.input,)

    def _make(self, key: str, addresses: Sequence[str]) -> ForwardPass:
        address = Address.parse(key)
        inputs = self._inputs_of(address)
        known = [self._known(text) for text in inputs]
        needs = frozenset(self._key(one) for one in known if one is not None)
        taps = Taps(self.networks[address.network], key, addresses)
        return ForwardPass(key, address.network, inputs, needs, taps)

    def plan(self, terms: tuple[Term, ...]) -> Plan:
        """What has to run for some of the terms, found once; a parameter alone needs no pass."""
        if terms not in self._plans:
            texts = [text for term in terms for text in term.flat_addresses if not self.is_parameter(text)]
            reached = self.reached(text for term in terms for text in term.reached)
            self._plans[terms] = Plan(self._with_needs(texts), reached, any(term.needs_graph for term in terms))
        return self._plans[terms]

    def reached(self, texts: Iterable[str]) -> set[str]:
        """The networks that gradients reach which flow into these addresses, through inputs too, but no frozen one."""
        flowing = {self._key(address) for address in map(self._known, texts) if address is not None}
        for one in reversed(self.in_order):
            if one.key in flowing and one.network not in self.frozen:
                flowing |= one.needs
        return {Address.parse(key).network for key in flowing} - self.frozen

    def key_of(self, text: str) -> str | None:
        """The key of the pass that an address is recorded in; None for an entry of the batch."""
        address = self._known(text)
        return None if address is None else self._key(address)

    def parameters(self) -> dict[str, Tensor]:
        """The parameters and buffers among the addresses."""
        return {text: value for one in self.in_order for text, value in one.taps.parameters().items()}

    def is_parameter(self, text: str) -> bool:
        """Whether an address is that of a parameter or buffer."""
        return any(text in one.taps.places and one.taps.places[text].is_parameter for one in self.in_order)

    def _with_needs(self, texts: Iterable[str]) -> list[ForwardPass]:
        wanted = {self._key(address) for address in map(self._known, texts) if address is not None}
        for one in reversed(self.in_order):
            if one.key in wanted:
                wanted |= one.needs
        return [one for one in self.in_order if one.key in wanted]


def _sorted_by_needs(passes: Sequence[ForwardPass]) -> list[ForwardPass]:
    """The passes in their order, but each after those that it needs."""
    ordered: list[ForwardPass] = []
    while len(ordered) < len(passes):
        done = {one.key for one in ordered}
        ready = next((one for one in passes if one.key not in done and one.needs <= done), None)
        if ready is None:
            circle = ", ".join(one.key for one in passes if one.key not in done)
            raise BadInput(f"the inputs of these need each other: {circle}")
        ordered.append(ready)
    return ordered
