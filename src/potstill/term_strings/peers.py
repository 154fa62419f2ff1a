"""Terms among networks that learn from each other, none of them a teacher of the others."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import potstill as ps
from potstill.address import owner
from potstill.term_strings.parsing import parse_terms, told_apart
from potstill.term_strings.places import Addresses, flat

if TYPE_CHECKING:
    from torch import Tensor, nn

    from potstill.term import Term


def terms_among(strings: Sequence[str], peers: "Mapping[str, nn.Module]", example: Any = None) -> "list[Term]":
    """The terms that strings describe, as in `potstill.term_strings.terms`: each peer in turn is their ``student``.

    Every other one is its ``teacher``, and has its share of a term that names it: the n-th part of the weight. A loss
    with an attribute ``all_others`` is one term instead, which gets a tuple of what all of them give.

    Args:
        strings: one a term, or several terms if it is on several places.
        peers: two networks or more, by name.
        example: a batch, two images of which the networks see once where layers are named.

    Raises:
        BadInput: a string is not of the grammar, or names a loss, an argument or a place that does not exist.

    >>> import potstill as ps
    >>> peers = {name: ps.networks.create("resnet8") for name in "abc"}
    >>> for term in terms_among(["CE", "KD", "KDCL"], peers)[:4]:
    ...     print(term.name, term.addresses, term.weight)
    CE a ('a', 'labels') 1.0
    KD a from b ('a', 'b') 0.5
    KD a from c ('a', 'c') 0.5
    KDCL a ('a', ('b', 'c'), 'labels') 1.0
    """
    from potstill.batch import as_batch

    images = None if example is None else as_batch(example)["images"][:2]
    return told_apart([(string, _terms_of(string, name, peers, images)) for name in peers for string in strings])


def _terms_of(string: str, name: str, peers: "Mapping[str, nn.Module]", images: "Tensor | None") -> "list[Term]":
    """The terms of one string for one of the peers."""
    found = {}
    for other in peers:
        if other != name:
            roles = {"student": peers[name], "teacher": peers[other]}
            found[other] = parse_terms([string], roles, {"student": name, "teacher": other}, images)
    other, terms = next(iter(found.items()))
    if not any(_names(term.addresses, other) for term in terms):
        return terms
    if all(getattr(term.loss, "all_others", False) for term in terms):
        return [_of_all(alike, other) for alike in zip(*found.values(), strict=True)]
    share = 1 / len(found)
    return [term.scaled(share, f"{term.name} from {other}") for other, each in found.items() for term in each]


def _of_all(alike: "Sequence[Term]", other: str) -> "Term":
    """One term out of those of each of the others, of which ``other`` is the first."""
    first = alike[0]
    addresses = [
        tuple(flat(each)) if _names(each, other) else each[0]
        for each in zip(*(term.addresses for term in alike), strict=True)
    ]
    return ps.Term(first.loss, *addresses, weight=first.weight, name=first.name)


def _names(addresses: "tuple[Addresses, ...]", network: str) -> bool:
    return any(owner(text) == network for text in flat(addresses))
