"""A mixed path: a network's later stages, over a bridge from another network's earlier ones."""

from copy import deepcopy

import torch
from torch import Tensor, nn

from potstill.eval_mode import eval_mode
from potstill.losses.fcfd import make_bridge
from potstill.networks.freezing import freeze_parts
from potstill.networks.graft import Grafted, upper_part
from potstill.taps import Taps


def stage_maps(network: nn.Module, name: str, stages: int, images: Tensor) -> list[Tensor]:
    """What a network's stages give before their last activations, of images (N, C, H, W)."""
    places = [f"{name}.stage{stage}:pre" for stage in range(1, stages + 1)]
    taps = Taps(network, name, places)
    try:
        with eval_mode(network), torch.no_grad():
            found = taps(images.to(next(network.parameters())))
    finally:
        taps.close()
    return [found[place] for place in places]


def mixed_path(network: nn.Module, stage: int, given: Tensor, wanted: Tensor, seed: int) -> Grafted:
    """A bridge, and on it a network from a stage on, whose very weights it has: maps (N, C, H, W) to logits (N, K).

    Of a learner, batch norm has statistics of its own here: the other network's maps are no part of what the learner
    sees. A teacher's rests.

    Args:
        network: whose later stages.
        stage: the one in whose place the bridge is, before its last activation; counted from 1.
        given: a map of the other network, which crosses the bridge.
        wanted: the network's own map there.
        seed: of the bridge's first weights.

    Raises:
        BadInput: the network cannot be cut there.
    """
    frozen = not any(parameter.requires_grad for parameter in network.parameters())
    scion = upper_part(network, f"stage{stage}:pre")
    if not frozen:
        scion = deepcopy(scion, {id(parameter): parameter for parameter in scion.parameters()})
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        bridge = make_bridge(given.cpu(), wanted.cpu()).to(wanted)
    names: dict[str, str] = getattr(network, "aliases", {})
    inside = {path for path, _ in scion.named_modules()}
    later = {alias: f"scion.{path}" for alias, path in names.items() if path.partition(":")[0] in inside}
    path = Grafted(nn.Identity(), bridge, scion, later)
    if frozen:
        freeze_parts(path, ["scion"], "mixed path")
    return path
