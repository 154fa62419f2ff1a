"""Several teachers at once: the mean of their logits, or each for itself."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import potstill as ps
from potstill.errors import BadInput
from potstill.networks.known_classes import Known, known_classes
from potstill.networks.trained import brings_weights, create_trained

if TYPE_CHECKING:
    from torch import nn

    from potstill.data import Data
    from potstill.teacher import Together

Value = TypeVar("Value")


def create_teachers(
    specs: str | tuple[str, ...],
    data: "Data",
    together: "Together",
    *,
    weights: Path | tuple[Path, ...] | None = None,
    normalize: str | tuple[str, ...] | None = None,
    size: int | tuple[int, ...] | None = None,
    create: "Callable[..., nn.Module]" = create_trained,
) -> "dict[str, nn.Module]":
    """One teacher, or several: as ``teacher``, which gives the mean of their logits, or ``teacher1``, ``teacher2``, ...

    Args:
        specs: the networks, as for `create_trained`.
        data: what they answer on.
        together: ``mean`` or ``each``.
        weights: in the same order; those that bring weights of their own may be left out.
        normalize: one for all, or one each.
        size: one for all, or one each.
        create: makes one of them; takes what `create_trained` does.

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
        name: create(spec, data, file, normalize=by, size=side, kind=name)
        for name, spec, file, by, side in zip(called, names, files, normalizations, sizes, strict=True)
    }
    if together == "mean" and len(teachers) > 1:
        return {"teacher": ps.freeze(ps.networks.MeanOfLogits(list(teachers.values())))}
    return teachers


def classes_of(specs: str | tuple[str, ...], weights: Path | tuple[Path, ...] | None, shape: tuple[int, ...]) -> Known:
    """The classes of a teacher, or of the first of several, see `known_classes`.

    Raises:
        BadInput: as there; other numbers of weights than of teachers.
    """
    names = _several(specs)
    return known_classes(names[0], _weights_each(names, _several(weights))[0], shape) if names else Known(())


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
