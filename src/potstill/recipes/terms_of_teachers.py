"""Terms between a student and several teachers."""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import potstill as ps
from potstill.recipes.term_strings import parse_terms

if TYPE_CHECKING:
    from torch import nn


def terms_of_teachers(strings: Sequence[str], networks: "Mapping[str, nn.Module]", **options: Any) -> "list[ps.Term]":
    """The terms of ``strings`` between ``student`` and the teachers of `create_teachers`.

    Of several, each has its share of a term that names the teacher: the n-th part of the weight. Only the mean of
    their logits is one teacher. A tap inside one of those is ``on layer3=networks.0.layer3``.

    Args:
        strings: as for `parse_terms`.
        networks: the student and its teachers.
        options: further arguments of `parse_terms`.
    """
    teachers = {name: network for name, network in networks.items() if name != "student"}
    whole = teachers.get("teacher")
    if isinstance(whole, ps.networks.MeanOfLogits):
        teachers = {f"teacher.networks.{i}": member for i, member in enumerate(whole.networks)}
    elif whole is not None:
        return parse_terms(strings, networks, **options)
    terms = []
    for string in strings:
        terms += _terms_of(string, networks, teachers, **options)
    return terms


def _terms_of(
    string: str, networks: "Mapping[str, nn.Module]", teachers: "Mapping[str, nn.Module]", **options: Any
) -> "list[ps.Term]":
    """The terms of one string: those of each teacher, by what their addresses begin with; or of all as one."""
    if "teacher" in networks and re.search(r"\bnetworks\.\d", string):  # it says itself which one is meant
        return parse_terms([string], networks, **options)
    found = {}
    for name, teacher in teachers.items():
        pair = {"student": networks["student"], "teacher": teacher}
        found[name] = parse_terms([string], pair, {"student": "student", "teacher": name}, **options)
    named = {
        address.removeprefix(name)
        for name, terms in found.items()
        for term in terms
        for address in term.flat_addresses
        if f"{address}.".startswith(f"{name}.")
    }
    if not named:
        return next(iter(found.values()))
    if named == {""} and "teacher" in networks:
        return parse_terms([string], networks, **options)
    shared = []
    for number, terms in enumerate(found.values(), start=1):
        shared += [term.scaled(1 / len(found), f"{term.name} from teacher{number}") for term in terms]
    return shared
