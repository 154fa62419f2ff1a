"""Networks that live elsewhere: timm, torchvision, anybody's own callable."""

import inspect
import re
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

from torch import nn

from potstill.errors import BadInput, unknown
from potstill.user_code import find_callable


def from_timm(name: str, classes: int) -> nn.Module:
    """Build timm's network ``name``, untrained, with ``aliases`` for its stages where timm knows them."""
    timm = library("timm")
    if not timm.is_model(name):
        raise unknown("timm network", name, timm.list_models())
    network: nn.Module = timm.create_model(name, pretrained=False, num_classes=classes)
    paths = [feature["module"] for feature in getattr(network, "feature_info", None) or []]
    there = {path for path, _ in network.named_modules()}
    # Of HRNet it names modules that do not exist.
    network.aliases = _stages(paths) if there.issuperset(paths) else {}  # type: ignore[assignment]
    return network


def _stages(paths: list[str]) -> dict[str, str]:
    """``stage1..n`` for the modules in timm's ``feature_info``, and ``stem`` if that is what the first one is.

    timm does not say whether it is (``act1`` before ``layer1``) or not (``blocks.0`` before ``blocks.1``): the stem is
    not named like the next one.
    """
    families = [re.sub(r"\d+", "", path) for path in paths[:2]]
    has_stem = len(set(families)) == 2
    stages = {f"stage{number}": path for number, path in enumerate(paths[has_stem:], start=1)}
    return {"stem": paths[0], **stages} if has_stem else stages


def from_torchvision(name: str, classes: int) -> nn.Module:
    """Build torchvision's classifier ``name``, untrained."""
    models = library("torchvision").models
    names = models.list_models(module=models)
    if name not in names:
        raise unknown("torchvision network", name, names)
    network: nn.Module = models.get_model(name, weights=None, num_classes=classes)
    return network


def library(name: str) -> ModuleType:
    """Import timm or torchvision; BadInput if it is not installed."""
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:  # it is there, but something it needs is not
            raise
        raise BadInput(f"{name} is not installed; networks of it need: pip install potstill[models]") from error


def from_callable(home: str, name: str, classes: int) -> nn.Module:
    """Call ``name`` of the module or Python file ``home`` with the number of classes, if it takes one.

    As ``num_classes`` (also if it takes any keyword), else as ``classes``, else not at all.

    Raises:
        BadInput: nothing of that name there, or what it returns is no ``nn.Module``.
    """
    function: Callable[..., Any] = find_callable(home, name, "network")
    network = function(**classes_argument(function, classes))
    if not isinstance(network, nn.Module):
        raise BadInput(f"{home}:{name} returned a {type(network).__name__}, not a torch.nn.Module")
    return network


def classes_argument(function: Callable[..., Any], classes: int) -> dict[str, int]:
    """How a user's function is told the number of classes: by which keyword, if any."""
    takes = inspect.signature(function).parameters
    any_keyword = any(parameter.kind is parameter.VAR_KEYWORD for parameter in takes.values())
    if "classes" in takes and "num_classes" not in takes:
        return {"classes": classes}
    return {"num_classes": classes} if "num_classes" in takes or any_keyword else {}
