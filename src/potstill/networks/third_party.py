"""Networks that live elsewhere: timm, torchvision, anybody's own callable."""

import inspect
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from difflib import get_close_matches
from typing import Annotated, Any

from torch import nn

from potstill.configured import configuration_of, is_configured
from potstill.errors import BadInput, nearest
from potstill.guard import foreign
from potstill.hub import library, without_waiting
from potstill.networks.lazy import refuse_meta
from potstill.ranges import Range
from potstill.runs.source import LIBRARIES
from potstill.user_code import find_callable

DropPath = Annotated[float, Range(0, 0.95)]
SKIPPING = ("DropPath", "StochasticDepth")
"""What timm and torchvision call the modules that skip a block at random."""


def from_timm(name: str, classes: int, drop_path: float = 0.0) -> nn.Module:
    """Build timm's network ``name``, untrained, with ``aliases`` for its stages where timm knows them.

    ``hf-hub:ORG/NAME`` is one whose configuration lies on Hugging Face's hub; ``local-dir:FOLDER``, in a folder.
    """
    timm = library("timm", "models")
    if not is_hosted(name) and not timm.is_model(name):
        raise unknown_of("timm", name, timm.list_models())
    with foreign(f"network 'timm:{name}'"), of_the_hub(name):
        settings: dict[str, Any] = {"pretrained": False, "num_classes": classes}
        network = _built(timm.create_model, name, settings, {"drop_path_rate": drop_path})
    paths = [feature["module"] for feature in getattr(network, "feature_info", None) or []]
    there = {path for path, _ in network.named_modules()}
    # Of HRNet it names modules that do not exist.
    network.aliases = _stages(paths) if there.issuperset(paths) else {}  # type: ignore[assignment]
    return network


def is_hosted(name: str) -> bool:
    """Whether a name of timm's says where the network's configuration lies: ``hf-hub:ORG/NAME``."""
    return is_configured(f"timm:{name}")


@contextmanager
def of_the_hub(name: str) -> Iterator[None]:
    """Say in one line, instead of many warnings, that a network cannot be had of Hugging Face's hub."""
    if not is_hosted(name):
        yield
        return
    configuration_of(f"timm:{name}")  # which timm reads again, out of the Hub's cache
    with without_waiting():
        yield


def _stages(paths: list[str]) -> dict[str, str]:
    """``stage1..n`` for the modules in timm's ``feature_info``, and ``stem`` if that is what the first one is.

    timm does not say whether it is (``act1`` before ``layer1``) or not (``blocks.0`` before ``blocks.1``): the stem is
    not named like the next one.
    """
    families = [re.sub(r"\d+", "", path) for path in paths[:2]]
    has_stem = len(set(families)) == 2
    stages = {f"stage{number}": path for number, path in enumerate(paths[has_stem:], start=1)}
    return {"stem": paths[0], **stages} if has_stem else stages


def from_torchvision(name: str, classes: int, drop_path: float = 0.0) -> nn.Module:
    """Build torchvision's classifier ``name``, untrained."""
    models = library("torchvision", "models").models
    names = models.list_models(module=models)
    if name not in names:
        raise unknown_of("torchvision", name, names)
    with foreign(f"network 'torchvision:{name}'"):
        settings: dict[str, Any] = {"weights": None, "num_classes": classes}
        network = _built(models.get_model, name, settings, {"stochastic_depth_prob": drop_path})
    return network


def _built(
    build: Callable[..., nn.Module], name: str, settings: dict[str, Any], drop_path: dict[str, float]
) -> nn.Module:
    """A library's network; with stochastic depth of the rate behind the library's word for it, if that is not 0."""
    if not any(drop_path.values()):
        return build(name, **settings)
    try:
        return build(name, **settings, **drop_path)
    except TypeError as error:  # it knows no such argument, or sets it itself
        raise no_drop_path(name) from error


def check_drop_path(network: nn.Module, spec: str) -> None:
    """Refuse a network that skips no block.

    Raises:
        BadInput: it does not.
    """
    if not any(type(module).__name__ in SKIPPING for module in network.modules()):
        raise no_drop_path(spec)


def no_drop_path(name: str) -> BadInput:
    """The error for a network whose stochastic depth cannot be set."""
    return BadInput(
        f"--drop-path is for networks that skip blocks at random, as timm:convnext_tiny does, not for {name!r}: "
        "leave it out, or give 0"
    )


def unknown_of(home: str, name: str, names: list[str]) -> BadInput:
    """The error for a name that a library does not know: the three nearest, however far, of its hundreds."""
    near = nearest(name, names) or get_close_matches(name, names, cutoff=0.0)
    return BadInput(f"unknown {home} network {name!r}; did you mean {' or '.join(near)}? {home} has {len(names)}")


def from_callable(home: str, name: str, classes: int) -> nn.Module:
    """Call ``name`` of the module or Python file ``home`` with the number of classes, if it takes one.

    As ``num_classes`` (also if it takes any keyword), else as ``classes``, else not at all.

    Raises:
        BadInput: nothing of that name there, or what it returns is no ``nn.Module``.
    """
    if home == "builtins":
        raise BadInput(f"{home}:{name} is of Python itself, which has no networks")
    function: Callable[..., Any] = find_callable(home, name, "network")
    if isinstance(function, nn.Module):
        return deepcopy(function).cpu()  # it is one already, which the next to ask for is not to share
    with foreign(f"network '{home}:{name}'"):
        network = function(**classes_argument(function, classes))
    if not isinstance(network, nn.Module):
        kind = network.__name__ if isinstance(network, type) else type(network).__name__
        what = f"the class {kind}, which nobody has called" if isinstance(network, type) else _article(kind)
        raise BadInput(f"{home}:{name} returned {what}, not a torch.nn.Module")
    refuse_meta(network, f"{home}:{name}")
    return network.cpu()  # where all networks are built; a run moves them to its device


def _article(kind: str) -> str:
    return "nothing" if kind == "NoneType" else f"{'an' if kind[0].lower() in 'aeiou' else 'a'} {kind}"


def takes_classes(spec: str) -> bool:
    """Whether a network is built with a number of classes: any but that of a user's own function that asks for none."""
    home, colon, name = spec.rpartition(":")
    if not colon or home.partition(":")[0] in LIBRARIES:
        return True
    function: Callable[..., Any] = find_callable(home, name, "network")
    return not isinstance(function, nn.Module) and bool(classes_argument(function, 1))


def classes_argument(function: Callable[..., Any], classes: int) -> dict[str, int]:
    """How a user's function is told the number of classes: by which keyword, if any."""
    takes = inspect.signature(function).parameters
    any_keyword = any(parameter.kind is parameter.VAR_KEYWORD for parameter in takes.values())
    if "classes" in takes and "num_classes" not in takes:
        return {"classes": classes}
    return {"num_classes": classes} if "num_classes" in takes or any_keyword else {}
