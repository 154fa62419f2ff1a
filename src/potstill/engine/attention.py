"""Where a network looks, stage by stage.

Attention maps are the mean of the squares over the channels: Zagoruyko and Komodakis, "Paying more attention to
attention", ICLR 2017, section 3.1: https://arxiv.org/abs/1612.03928.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from potstill.engine.pictures import as_bytes, at_most
from potstill.maps import as_map
from potstill.network_call import call
from potstill.networks.dry_run import DryRun
from potstill.networks.stages import stages_of
from potstill.outputs import tensor_in
from potstill.runs.schema import Maps
from potstill.taps import AS_MAP, Place, find, unwrapped

MAP_SIDE = 32  # pixels at most


def attention(network: nn.Module, name: str, images: Tensor) -> tuple[Any, dict[str, Maps]]:
    """What a network returns for ``images`` (N, C, H, W), and the attention maps of each of its stages.

    Returns:
        The output, and {stage: {"tap", "maps"}}: one map an image, uint8 (H, W), from 0 at its lowest value to 255 at
        its highest. Stages are those of `potstill.networks.find_stages`; tokens are laid out as maps.
    """
    run = DryRun(network, name, images[:2])
    stages = {f"stage{i}": stage for i, stage in enumerate(stages_of(run), start=1)}
    places = {stage: find(network, name, one.path) for stage, one in stages.items() if math.prod(one.shape[1:]) > 1}
    seen: dict[str, Tensor] = {}  # the last call of each place; as attention, which nothing overwrites later

    def record(stage: str, value: Tensor) -> None:
        seen[stage] = as_map(value, run.size).float().square().mean(1, keepdim=True)

    inside = unwrapped(network)
    hooks = [_watch(inside.get_submodule(place.path), place, stage, record) for stage, place in places.items()]
    try:
        output = call(network, name, images.clone())
    finally:
        for hook in hooks:
            hook.remove()
    return output, {stage: _maps(_address(place), seen[stage]) for stage, place in places.items()}


def _address(place: Place) -> str:
    """The address of a place by the module's own name, also if an alias led there."""
    return place.path + (":in" if place.at_input else "") + (AS_MAP if place.as_map else "")


def _watch(module: nn.Module, place: Place, stage: str, record: Callable[[str, Tensor], None]) -> Any:
    if place.at_input:
        return module.register_forward_pre_hook(lambda _, args: record(stage, args[0]))
    return module.register_forward_hook(lambda _, args, output: record(stage, tensor_in(output)))


def _maps(address: str, maps: Tensor) -> Maps:
    small = at_most(maps, MAP_SIDE)[:, 0]
    low, high = small.amin((1, 2), keepdim=True), small.amax((1, 2), keepdim=True)
    scaled = 255 * (small - low) / (high - low).clamp(min=torch.finfo(small.dtype).tiny)
    return {"tap": address, "maps": [as_bytes(one) for one in scaled]}
