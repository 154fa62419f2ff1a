"""What a network returns, as tensors: logits alone, or a tuple, a dictionary, a dataclass that holds them."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from torch import Tensor

from potstill.errors import BadInput, nearest


def logits_of(output: Any, name: str = "the network") -> Tensor:
    """The one tensor that a network's bare name stands for, called ``name`` in messages.

    It is the output itself, if that is a tensor; else its part called ``logits``; else its only tensor; else, of a
    tuple or list, the first of them, as classifiers with auxiliary heads return it.

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
    if isinstance(found.get("logits"), Tensor):
        return tensors["logits"]
    if len({id(value) for value in tensors.values()}) == 1 or (tensors and isinstance(output, tuple | list)):
        return next(iter(tensors.values()))
    if not tensors:
        raise BadInput(f"{name} returns a {type(output).__name__} without a tensor in it, not logits (N, K)")
    several = ", ".join(f"{name}#{key}" for key in tensors)
    raise BadInput(f"{name} returns a {type(output).__name__} of several tensors, none called logits: say {several}")


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
