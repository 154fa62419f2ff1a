"""What a student learns from each teacher of features: a loss with a projector, and where its inputs come from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from torch import Tensor, nn

from potstill.address import Address
from potstill.embedding.places import patches_place, pooled_place
from potstill.errors import BadInput
from potstill.losses import CosineSmoothL1, PatchMSE, QueueKL, QueuePatchKL
from potstill.term import Addresses, Term

Match = Literal["pooled", "patches", "both"]
Compare = Literal["cosine-smooth-l1", "mse", "queue"]
Kinds = tuple[str, ...]
"""Kinds of features that a loss takes: pooled, patches, or both at once."""
KINDS: dict[Match, Kinds] = {"pooled": ("pooled",), "patches": ("patches",), "both": ("pooled", "patches")}


@dataclass(frozen=True)
class Bond:
    """A loss between a student and one of its teachers; ``aligned`` of it gives what is compared.

    ``student`` and ``teacher`` are addresses, as many as there are ``kinds`` of features.
    """

    loss: nn.Module
    kinds: Kinds
    student: tuple[str, ...]
    teacher: tuple[str, ...]

    @property
    def owner(self) -> str:
        """The teacher's name."""
        return Address.parse(self.teacher[0]).network

    def term(self, weight: float, entry: str | None = None) -> Term:
        """The term, whose student sees the batch's ``entry`` instead of its images."""
        seen = tuple(str(replace(Address.parse(text), input=entry)) for text in self.student)
        name = f"{type(self.loss).__name__} {self.owner} {' and '.join(self.kinds)}"
        return Term(self.loss, _one_or_several(seen), _one_or_several(self.teacher), weight=weight, name=name)

    def inputs(self, values: Mapping[str, Tensor]) -> list[Any]:
        """The loss's inputs, out of tensors by address."""
        sides = [[values[text] for text in side] for side in (self.student, self.teacher)]
        return [tuple(side) if len(side) > 1 else side[0] for side in sides]


def bonds(
    networks: Mapping[str, nn.Module],
    images: Tensor,
    match: Match,
    compare: Compare,
    layers: int = 1,
    hidden: int | None = None,
) -> list[Bond]:
    """The bonds of a backbone called ``student`` with all other networks.

    Args:
        networks: ``student``, and its teachers.
        images: a few (N, C, H, W), in which the places of features are found.
        match: the kinds of features.
        compare: by which loss.
        layers: of each projector.
        hidden: width between these.

    Raises:
        BadInput: a network lacks such features, or the loss does not take them alone.
    """
    finders = {"pooled": pooled_place, "patches": patches_place}
    places = {
        (name, kind): "student" if (name, kind) == ("student", "pooled") else finders[kind](network, name, images)
        for name, network in networks.items()
        for kind in KINDS[match]
    }
    return [
        Bond(loss, kinds, tuple(places["student", kind] for kind in kinds), tuple(places[name, kind] for kind in kinds))
        for name in networks
        if name != "student"
        for kinds, loss in LOSSES[compare](KINDS[match], layers, hidden).items()
    ]


def _one_each(make: Callable[..., nn.Module], kinds: Kinds, layers: int, hidden: int | None) -> dict[Kinds, nn.Module]:
    return {(kind,): make(layers=layers, hidden=hidden) for kind in kinds}


def _cosine_smooth_l1(kinds: Kinds, layers: int, hidden: int | None) -> dict[Kinds, nn.Module]:
    return _one_each(CosineSmoothL1, kinds, layers, hidden)


def _mse(kinds: Kinds, layers: int, hidden: int | None) -> dict[Kinds, nn.Module]:
    return _one_each(PatchMSE, kinds, layers, hidden)


def _queue(kinds: Kinds, layers: int, hidden: int | None) -> dict[Kinds, nn.Module]:
    if "pooled" not in kinds:
        raise BadInput("--loss queue compares images by their pooled features: --match pooled, or both")
    make = QueueKL if len(kinds) == 1 else QueuePatchKL
    return {kinds: make(layers=layers, hidden=hidden)}


LOSSES: dict[Compare, Callable[[Kinds, int, int | None], dict[Kinds, nn.Module]]] = {
    "cosine-smooth-l1": _cosine_smooth_l1,
    "mse": _mse,
    "queue": _queue,
}


def _one_or_several(addresses: tuple[str, ...]) -> Addresses:
    return addresses if len(addresses) > 1 else addresses[0]
