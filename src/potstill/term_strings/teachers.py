"""Terms between a student and its teacher, or several."""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from potstill.address import Address
from potstill.errors import BadInput
from potstill.term_strings.parsing import parse_terms, told_apart

if TYPE_CHECKING:
    from torch import Tensor, nn

    from potstill.term import Term

TEACHER = re.compile(r"teacher\d*")


def terms(strings: Sequence[str], networks: "Mapping[str, nn.Module]", example: Any = None) -> "list[Term]":
    """The terms that strings describe: ``"weight * Loss(argument=value, ...) on places"``; parsed, never evaluated.

    ``on layer3=blocks.8`` pairs a place in the student with one in the teacher, ``on layer3`` means that place in both,
    and ``on stages`` all stages, matched by resolution, which is said on stderr. Places are those of `potstill.address`
    behind the network's name: ``#1``, ``@strong.layer3``; or whole addresses, which begin with the name of a network:
    ``KD on head_dist=teacher``, ``KD on student@strong=teacher@weak``. A weight is a number of 0 or more, 1 by
    default, or a schedule of `potstill.schedules`: ``"warmup(1, 20) * DKD"``. Terms of one loss on one place
    have its arguments in their names.

    Of several teachers, each has its share of a term that names the teacher: the n-th part of the weight. Only the mean
    of their logits is one teacher. A place inside one of those is ``on layer3=networks.0.layer3``.

    Args:
        strings: one a term, or several terms if it is on several places.
        networks: ``student``, and ``teacher`` or ``teacher1``, ``teacher2``, ...; what others are called, whole
            addresses may begin with.
        example: a batch, two images of which every network sees once where layers are named. Without, stages are the
            aliases of both networks, one to one.

    Raises:
        BadInput: a string is not of the grammar, or names a loss, an argument or a place that does not exist.

    >>> import torch
    >>> import potstill as ps
    >>> networks = {name: ps.networks.create("resnet8") for name in ("student", "teacher")}
    >>> batch = torch.randn(4, 3, 32, 32), torch.tensor([1, 2, 3, 4])
    >>> for term in ps.terms(["0.1 * CE", "1000 * AT on layer2=layer3"], networks, batch):
    ...     print(term.name, term.addresses, term.weight)
    CE student ('student', 'labels') 0.1
    AT student.layer2 ('student.layer2', 'teacher.layer3') 1000
    """
    from potstill.batch import as_batch
    from potstill.networks.ensemble import MeanOfLogits

    if "student" not in networks:
        raise BadInput(f"no network is called 'student', which terms are about; there are: {', '.join(networks)}")
    images = None if example is None else as_batch(example).get("images")
    few = None if images is None else images[:2]
    teachers = {name: network for name, network in networks.items() if TEACHER.fullmatch(name)}
    whole = teachers.get("teacher")
    if isinstance(whole, MeanOfLogits):
        teachers = {f"teacher.networks.{i}": member for i, member in enumerate(whole.networks)}
    elif whole is not None or not teachers:
        return parse_terms(strings, networks, images=few)
    return told_apart([(string, _terms_of(string, networks, teachers, few)) for string in strings])


def _terms_of(
    string: str,
    networks: "Mapping[str, nn.Module]",
    teachers: "Mapping[str, nn.Module]",
    images: "Tensor | None",
) -> "list[Term]":
    """The terms of one string: those of each teacher; or those of all as one."""
    if "teacher" in networks and re.search(r"\bnetworks\.\d", string):  # it says itself which one is meant
        return parse_terms([string], networks, images=images)
    found = {
        name: parse_terms([string], {**networks, "teacher": teacher}, {"student": "student", "teacher": name}, images)
        for name, teacher in teachers.items()
    }
    addresses = {name: [term.flat_addresses for term in terms] for name, terms in found.items()}
    first, *others = addresses.values()
    if all(other == first for other in others):  # it names none, or itself which one
        return next(iter(found.values()))
    if "teacher" in networks and not any(_is_inside(a, n) for n, each in addresses.items() for of in each for a in of):
        return parse_terms([string], networks, images=images)
    shared = []
    for number, terms in enumerate(found.values(), start=1):
        shared += [term.scaled(1 / len(found), f"{term.name} from teacher{number}") for term in terms]
    return shared


def _is_inside(text: str, member: str) -> bool:
    """Whether an address is a place inside of one network of a mean, ``teacher.networks.0``, and not its logits."""
    address, (network, _, inside) = Address.parse(text), member.partition(".")
    return address.network == network and (address.path or "").startswith(f"{inside}.")
