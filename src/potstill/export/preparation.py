"""What becomes of a picture before a network sees it, as a run or an exported file says."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

from potstill.checked import check
from potstill.data.files.decoding import FULL, evaluated_from
from potstill.data.load import in_files
from potstill.errors import BadInput, shown
from potstill.export.run_network import RunNetwork
from potstill.network_input import Input
from potstill.ranges import LARGEST, Range, Side
from potstill.runs.names import CONFIG
from potstill.say import say

COLOURS = 3
Shorter = Annotated[int, Range(1, 2**15)]
Bits = Annotated[int, Range(8, FULL)]


@dataclass(frozen=True)
class Preparation:
    """How a picture becomes an image (3, H, W), and what the logits of it are called.

    It is scaled to its ``shorter_side`` in pixels, the centre of ``side`` x ``side`` is cut, ``mean`` is taken from
    each channel of values in 0..1, which is divided by ``std``. ``bits`` is how many of a 16-bit picture's bits count.
    ``several``: a picture may be of several classes, each of which has a probability of its own.
    """

    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    side: int
    shorter_side: int
    bits: int = FULL
    several: bool = False

    @property
    def input(self) -> Input:
        """What the network is given."""
        return Input((self.mean, self.std), (self.side, self.side))


def shorter_side(data: str, side: int) -> int:
    """The side to which pictures of a data set are scaled before ``side`` pixels are cut: small ones are seen whole."""
    return evaluated_from(side) if in_files(data) else side


def of_run(chosen: RunNetwork) -> Preparation:
    """What the run has shown the network.

    Raises:
        BadInput: it does not say how its images were made.
    """
    data, where = chosen.config.get("data"), str(chosen.folder / CONFIG)
    mean, std, shape = (None if data is None else data.get(key) for key in ("mean", "std", "shape"))
    if data is None or mean is None or std is None or shape is None:
        unknown = "mean, std and shape of its images" if data is None or shape is None else "how they were normalised"
        raise BadInput(f"{where} does not say {unknown}, and so no picture can be made into one")
    side = _side(shape, where)
    own_loaders = "digest" in data and data["digest"] is None
    if own_loaders:
        say(f"{chosen.folder} was trained on its own loaders: pictures are scaled to {side} pixels, the centre is cut")
    shorter = side if own_loaders else shorter_side(data["name"], side)
    names = data.get("classes") or list(map(str, range(chosen.classes)))
    found = _checked(names, mean, std, side, shorter, data.get("bits") or FULL, where)
    return replace(found, several=bool(data.get("several")))


def of_file(about: Mapping[str, str], file: str) -> Preparation:
    """What an exported file says in its metadata.

    Raises:
        BadInput: it says nothing, or what cannot be.
    """
    if missing := [key for key in ("classes", "mean", "std", "shape") if key not in about]:
        raise BadInput(f"{file} does not say its {missing[0]}: potstill export writes such a file")
    try:
        classes, mean, std, shape = (json.loads(about[key]) for key in ("classes", "mean", "std", "shape"))
        side = _side(shape, file)
        shorter, bits = json.loads(about.get("shorter_side", str(side))), json.loads(about.get("bits", str(FULL)))
    except (ValueError, RecursionError) as error:
        raise error if isinstance(error, BadInput) else BadInput(f"{file} is damaged: {error}") from error
    if "shorter_side" not in about:
        say(f"{file} was written by an earlier version: pictures are scaled to {side} pixels, the centre is cut")
    return replace(_checked(classes, mean, std, side, shorter, bits, file), several="several" in about)


def _side(shape: Any, where: str) -> int:
    if not isinstance(shape, list) or len(shape) != 3 or any(type(size) is not int for size in shape):
        raise BadInput(f"{where} is damaged: no shape of an image is {shown(shape)}")
    channels, height, width = shape
    if channels != COLOURS or height != width:
        raise BadInput(f"pictures become images of 3 x N x N, but {where} has {channels} x {height} x {width}")
    return int(height)


def _checked(classes: Any, mean: Any, std: Any, side: int, shorter: Any, bits: Any, where: str) -> Preparation:
    """These as a preparation, if they can be one."""
    check(side, Side, f"{where}: side of an image")
    check(shorter, Shorter, f"{where}: shorter side of a picture")
    check(bits, Bits, f"{where}: bits of a picture")
    if not isinstance(classes, list) or not classes or not all(isinstance(name, str) for name in classes):
        raise BadInput(f"{where} is damaged: its classes are no names")
    for name, values in {"mean": mean, "deviation": std}.items():
        sound = isinstance(values, list) and len(values) == COLOURS and all(map(_is_finite, values))
        if not sound or (name == "deviation" and min(values) <= 0):
            raise BadInput(f"{where} is damaged: no {name} of three channels is {shown(values)}")
    means, deviations = (tuple(map(float, values)) for values in (mean, std))
    return Preparation(tuple(classes), means, deviations, side, max(shorter, side), bits)


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST
