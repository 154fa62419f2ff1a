"""What a network returns, as tensors: logits alone, or a tuple, a dictionary, a dataclass that holds them."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from itertools import islice
from typing import Any

from torch import Tensor

from potstill.errors import BadInput, nearest

MOST = 8
"""Parts that a message names."""


def logits_of(output: Any, name: str = "the network") -> Tensor:
    """The one tensor that a network's bare name stands for, called ``name`` in messages.

    It is the output itself, if that is a tensor; else its part called ``logits``; else its only tensor; else, of a
    tuple or list, the first of them, as classifiers with auxiliary heads return it. Without a tensor among its parts,
    the same is looked for inside these: of a tuple or list in the first that has one, of a dictionary in its only one,
    if that has names, too.

    Raises:
        BadInput: none of these; the message names the parts there are.

    >>> import torch
    >>> logits_of({"loss": torch.tensor(1.0), "logits": torch.zeros(2, 10)}).shape
    torch.Size([2, 10])
    """
    if isinstance(output, Tensor):
        return output
    found = parts(output)
    tensors = {key: value for key, value in found.items() if isinstance(value, Tensor)}
    if "logits" in tensors:
        return tensors["logits"]
    if len({id(value) for value in tensors.values()}) == 1 or (tensors and isinstance(output, tuple | list)):
        return next(iter(tensors.values()))
    holding = {key: value for key, value in found.items() if next(tensors_in(value), None) is not None}
    if not holding:
        raise BadInput(f"{name} returns {_article(output)} without a tensor in it, not logits (N, K)")
    key, value = next(iter(holding.items()))
    if not tensors and (
        isinstance(output, tuple | list) or (len(holding) == 1 and not isinstance(value, tuple | list))
    ):
        return logits_of(value, f"{name}#{key}")
    several = ", ".join(islice(_named(output, name), MOST))
    raise BadInput(f"{name} returns {_article(output)} of several tensors, none called logits: say {several}")


def _named(output: Any, name: str) -> Iterator[str]:
    """The addresses of all tensors in an output."""
    for key, value in ({} if isinstance(output, Tensor) else parts(output)).items():
        yield from [f"{name}#{key}"] if isinstance(value, Tensor) else _named(value, f"{name}#{key}")


def tensors_in(output: Any) -> Iterator[Tensor]:
    """All tensors in an output, however deep.

    >>> import torch
    >>> len(list(tensors_in(({"a": torch.zeros(1)}, [torch.zeros(1), None]))))
    2
    """
    if isinstance(output, Tensor):
        yield output
    else:
        for value in {id(value): value for value in parts(output).values()}.values():
            yield from tensors_in(value)


def _article(output: Any) -> str:
    kind = type(output).__name__
    return "None" if output is None else f"{'an' if kind[0].lower() in 'aeiou' else 'a'} {kind}"


def tensor_in(output: Any) -> Any:
    """The tensor that `logits_of` finds, or the output itself where it finds none."""
    try:
        return logits_of(output)
    except BadInput:
        return output


def part_of(output: Any, path: str, name: str) -> Tensor:
    """The part ``path`` of what a network returns, ``0`` or ``pooler_output``; ``hidden_states#3`` is a part of a part.

    Raises:
        BadInput: it has no such part, or that is no tensor; the message names the nearest.
    """
    value, said = output, name
    for key in path.split("#"):
        found = {} if isinstance(value, Tensor) else parts(value)
        if key not in found:
            near = nearest(key, found) or list(found)
            hint = f"parts: {', '.join(f'{said}#{one}' for one in near[:5])}" if near else "it has no parts"
            raise BadInput(f"no part '{said}#{key}' in a {type(value).__name__}; {hint}")
        value, said = found[key], f"{said}#{key}"
    if not isinstance(value, Tensor):
        inside = ", ".join(f"{said}#{key}" for key in list(parts(value))[:3])
        raise BadInput(f"{said} is a {type(value).__name__}, not a tensor" + (f"; parts: {inside}" if inside else ""))
    return value


def parts(output: Any) -> dict[str, Any]:
    """The parts of an output by their names, or their numbers; parts that are None are none.

    A named tuple has both. Hugging Face's ``ModelOutput`` is a dictionary.
    """
    found: dict[str, Any] = {}
    if isinstance(output, Mapping):
        found = {str(key): value for key, value in output.items()}
    elif is_dataclass(output) and not isinstance(output, type):
        found = {field.name: getattr(output, field.name) for field in fields(output)}
    elif isinstance(output, tuple | list):
        named = output._asdict() if hasattr(output, "_asdict") else {}
        found = {**named, **{str(number): value for number, value in enumerate(output)}}
    return {key: value for key, value in found.items() if value is not None}
