"""Terms of a network that learns alone."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from potstill.address import owner
from potstill.errors import BadInput
from potstill.term_strings.parsing import parse_terms, told_apart

if TYPE_CHECKING:
    from torch import nn

    from potstill.term import Term


def terms_alone(strings: Sequence[str], student: "nn.Module", example: Any = None) -> "list[Term]":
    """The terms that strings describe, as in `potstill.term_strings.terms`, of a network called ``student`` alone.

    A loss that does not say where its inputs come from gets what the network returns, or what is tapped, and the labels
    if it takes two.

    Args:
        strings: one a term, or several terms if it is on several places.
        student: the network.
        example: a batch.

    Raises:
        BadInput: a string is not of the grammar, or names what does not exist, or needs a teacher.

    >>> import potstill as ps
    >>> student = ps.networks.create("resnet8")
    >>> [term.addresses for term in terms_alone(["CE"], student)]
    [('student', 'labels')]
    """
    from potstill.batch import as_batch

    images = None if example is None else as_batch(example).get("images")
    few = None if images is None else images[:2]
    found = [(string, parse_terms([string], {"student": student}, images=few, alone=True)) for string in strings]
    for string, terms in found:
        if any(owner(text).startswith("teacher") for term in terms for text in term.flat_addresses):
            raise BadInput(
                f"term {string!r} needs a teacher, and there is none: potstill distill has one, by --teacher"
            )
    return told_apart(found)
