"""Several teachers at once: the mean of their logits, or one term each."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import potstill as ps
from potstill.errors import BadInput
from potstill.recipes.teacher import brings_weights, create_teacher
from potstill.recipes.term_strings import parse_terms

if TYPE_CHECKING:
    from torch import nn

    from potstill.data import Data
    from potstill.schedules import Schedule

Value = TypeVar("Value")
Together = Literal["mean", "each"]


def create_teachers(
    specs: str | tuple[str, ...],
    data: "Data",
    together: Together,
    *,
    weights: Path | tuple[Path, ...] | None = None,
    normalize: str | tuple[str, ...] | None = None,
    size: int | tuple[int, ...] | None = None,
) -> "dict[str, nn.Module]":
    """One teacher, or several: as ``teacher``, which gives the mean of their logits, or ``teacher1``, ``teacher2``, ...

    Args:
        specs: the networks, as for `create_teacher`.
        data: what they answer on.
        together: ``mean`` or ``each``.
        weights: in the same order; those that bring weights of their own may be left out.
        normalize: one for all, or one each.
        size: one for all, or one each.

    Raises:
        BadInput: other numbers of these than of teachers, and whatever is wrong with a teacher.
    """
    names = _several(specs)
    if not names:
        raise BadInput("--teacher needs a network, or several")
    files = _weights_each(names, _several(weights))
    normalizations = _one_each(_several(normalize), len(names), "--teacher-normalize")
    sizes = _one_each(_several(size), len(names), "--teacher-size")
    called = ["teacher"] if len(names) == 1 else [f"teacher{i}" for i in range(1, len(names) + 1)]
    teachers = {
        name: create_teacher(spec, data, file, normalize=by, size=side, kind=name)
        for name, spec, file, by, side in zip(called, names, files, normalizations, sizes, strict=True)
    }
    if together == "mean" and len(teachers) > 1:
        return {"teacher": ps.freeze(ps.networks.MeanOfLogits(list(teachers.values())))}
    return teachers


def recorded(recipe: str, **arguments: Any) -> dict[str, Any]:
    """The record of a run: with one teacher, it does not matter how several would be taken together."""
    alone = not isinstance(arguments["teacher"], tuple)
    return {"recipe": recipe, **{name: v for name, v in arguments.items() if name != "teachers" or not alone}}


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
    for number, terms in enumerate(found.values(), start=1):
        for term in terms:
            term.weight = _share(term.weight, len(found))
            term.name = f"{term.name} from teacher{number}"
    return [term for terms in found.values() for term in terms]


def _share(weight: "float | Schedule", count: int) -> "float | Schedule":
    """A weight, or a schedule of it, divided."""
    if not callable(weight):
        return weight / count
    whole = weight
    return lambda epoch: whole(epoch) / count


def _several(values: Value | tuple[Value, ...] | None) -> tuple[Value, ...]:
    return () if values is None else values if isinstance(values, tuple) else (values,)


def _one_each(values: tuple[Value, ...], count: int, flag: str) -> list[Value | None]:
    """One value for every teacher; a single one counts for all."""
    if len(values) not in (0, 1, count):
        raise BadInput(f"{flag} has {len(values)} values for {count} teachers; give one for all, or one each")
    found: list[Value | None] = [*values]
    return found if len(found) == count else (found or [None]) * count


def _weights_each(specs: tuple[str, ...], files: tuple[Path, ...]) -> list[Path | None]:
    """A file for every teacher, or for every one that brings no weights of its own."""
    if len(files) == len(specs):
        return list(files)
    bare = [spec for spec in specs if not brings_weights(spec)]
    if files and len(files) != len(bare):
        raise BadInput(
            f"--teacher-weights has {len(files)} files for {len(specs)} teachers; give one each, or one for each that "
            f"brings none: {', '.join(bare) or 'all bring theirs'}"
        )
    rest = iter(files)
    return [next(rest, None) if spec in bare else None for spec in specs]
