"""Calling a network that may be anybody's: its errors are one line, which says what it was given."""

from typing import Any

from torch import Tensor, nn

from potstill.guard import guarded


def call(network: nn.Module, name: str, *inputs: Any) -> Any:
    """What ``network``, which errors call ``name``, returns for ``inputs``: images (N, C, H, W) in the main.

    Raises:
        BadInput: it raised anything; the message has the inputs' shapes, the only size of images that it takes, if that
            is known, and the file and line of the user's code.

    >>> from torch import nn, zeros
    >>> call(nn.Conv2d(4, 8, 3), "student", zeros(2, 3, 8, 8))
    Traceback (most recent call last):
    potstill.errors.BadInput: network 'student', given (2, 3, 8, 8), failed: RuntimeError: Given groups=1, weight of ...
    """
    return guarded(lambda: describe_call(network, name, inputs), network, *inputs)


def title(network: nn.Module, name: str) -> str:
    """What messages call a network that addresses call ``name``: its attribute ``title``, if it has one."""
    own = getattr(network, "title", None)
    return own if isinstance(own, str) else name


def describe_call(network: nn.Module, name: str, inputs: tuple[Any, ...]) -> str:
    """A network and what it is called with, in words."""
    from potstill.networks.input import only_size

    shapes = " and ".join(
        str(tuple(value.shape)) if isinstance(value, Tensor) else type(value).__name__ for value in inputs
    )
    size = only_size(network)
    only = f", which takes images of {size[0]}x{size[1]} only," if size else ","
    return f"network {title(network, name)!r}{only} given {shapes},"
