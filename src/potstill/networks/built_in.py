"""The networks that come with potstill, by the pattern of their names."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from potstill.errors import BadInput, unknown
from potstill.networks.mobilenet_v2 import mobilenet_v2
from potstill.networks.moonshine_wide_resnets import wide_resnet_bottle, wide_resnet_old, wide_resnet_split
from potstill.networks.resnet_cifar import resnet, resnet_a, resnet_x4
from potstill.networks.resnet_imagenet import resnet_imagenet, resnet_imagenet_cifar
from potstill.networks.shufflenet_v1 import shufflenet_v1
from potstill.networks.shufflenet_v2 import shufflenet_v2
from potstill.networks.vgg import vgg
from potstill.networks.wide_resnet import wide_resnet, wide_resnet_bottom
from potstill.ranges import whole_number

BUILT_IN: dict[str, Callable[..., nn.Module]] = {
    "resnet{depth=18|34|50|101|152}": resnet_imagenet,
    "resnet{depth}-cifar": resnet_imagenet_cifar,
    "resnet{depth}": resnet,
    "resnet{depth}a": resnet_a,
    "resnet{depth}x4": resnet_x4,
    "wrn-{depth}-{width}": wide_resnet,
    "wrn-{depth}-{width}-bottom{groups=1|2}": wide_resnet_bottom,
    "wrn-{depth}-{width}-old": wide_resnet_old,
    "wrn-{depth}-{width}-bottle": wide_resnet_bottle,
    "wrn-{depth}-{width}-split{parts}": wide_resnet_split,
    "vgg{depth}": vgg,
    "mobilenetv2x{width}": mobilenet_v2,
    "shufflenetv1": shufflenet_v1,
    "shufflenetv2": shufflenet_v2,
}
"""Name pattern to function; the numbers in a name are the function's arguments, beside ``classes``.

The first pattern that fits counts: 50 and 152 happen to be 6n + 2, but everybody means the ImageNet networks by them.
"""

LARGEST = 500_000_000  # parameters, 2 GB: the largest that was published, WRN-40-20, has half of it

USUAL = (
    *(f"resnet{depth}" for depth in (8, 14, 20, 32, 44, 56, 110)),
    *(f"resnet{depth}a" for depth in (8, 14, 20, 32, 44, 56, 110)),
    *(f"resnet{depth}{stem}" for stem in ("", "-cifar") for depth in (18, 34, 50, 101, 152)),
    *("resnet8x4", "resnet32x4", "wrn-16-1", "wrn-16-2", "wrn-40-1", "wrn-40-2", "wrn-40-1-bottom2"),
    *("wrn-16-2-old", "wrn-16-2-bottle", "wrn-40-2-split2"),
    *("vgg8", "vgg11", "vgg13", "vgg16", "vgg19", "mobilenetv2x0.5", "shufflenetv1", "shufflenetv2"),
)
"""The names that papers use, offered when a name is not known."""


def built_in(name: str, classes: int) -> nn.Module | None:
    """Build the network of that name, or None if it has the form of none of ``BUILT_IN``.

    Raises:
        BadInput: the name has the form of a built-in network, but there is none of these numbers.
    """
    found = by_name(name)
    if found is None:
        return None
    function, sizes = found
    with at_most(LARGEST, f"network {name!r}"):
        return function(**sizes, classes=classes)


def by_name(name: str) -> tuple[Callable[..., nn.Module], dict[str, float]] | None:
    """The function of ``BUILT_IN`` that makes the network of that name, and the numbers it takes; None if none does."""
    for pattern, function in BUILT_IN.items():
        match = re.fullmatch(_expression(pattern), name)
        if match:
            return function, {size: _number(digits, name) for size, digits in match.groupdict().items()}
    return None


def _number(digits: str, name: str) -> float:
    return float(digits) if "." in digits else whole_number(digits, f"network {name!r}")


@contextmanager
def at_most(limit: int, name: str) -> Iterator[None]:
    """Build a network inside the ``with`` block, of ``limit`` parameters at most, counted as their layers are made.

    Raises:
        BadInput: it has more; that is said before the memory of the layer that exceeds it is written to.
    """
    count = 0

    def add(module: nn.Module, parameter_name: str, parameter: nn.Parameter | None) -> None:
        nonlocal count
        count += 0 if parameter is None else parameter.numel()
        if count > limit:
            raise BadInput(f"{name} has more than {limit:,} parameters, more than any network of this kind")

    handle = register_module_parameter_registration_hook(add)
    try:
        yield
    finally:
        handle.remove()


def _expression(pattern: str) -> str:
    """The regular expression of a name pattern: ``{size}`` is any number, ``{size=1|2}`` one of those given.

    Only a width may be a fraction.
    """
    one_of = re.sub(r"{(\w+)=([\d|]+)}", r"(?P<\1>\2)", pattern)
    fraction = re.sub(r"{(width)}", r"(?P<\1>[0-9]+(?:\\.[0-9]+)?)", one_of)
    return re.sub(r"{(\w+)}", r"(?P<\1>0|[1-9][0-9]*)", fraction)


def unknown_network(name: str) -> BadInput:
    """The error for a name that is no network at all, with the nearest built-in ones."""
    return unknown("network", name, USUAL)


def describe_built_in() -> list[tuple[str, str, str]]:
    """What ``potstill list networks`` shows: name pattern, one sentence, paper, for each of ``BUILT_IN``.

    >>> describe_built_in()[2][:2]
    ('resnet{depth}', 'CIFAR ResNet with projection shortcuts (option B), widths 16, 32, 64.')
    """
    rows = []
    for pattern, function in BUILT_IN.items():
        sentence, _, paper = (function.__doc__ or "").partition("Source:")
        rows.append((pattern, sentence.strip(), " ".join(paper.split())))
    return rows
