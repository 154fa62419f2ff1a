"""The recorded forward passes of Channel Distillation's ResNets, whose weights come from a formula."""

import json
import math
from collections.abc import Callable

import torch
from torch import Tensor

from oracle.case import Case
from potstill.networks import create
from potstill.taps import Taps


def noise(entry: int, shape: list[int]) -> Tensor:
    """The numbers u in [-1, 1) of ``settings.fill`` for the entry of that place in the list, in float64."""
    low = 2**32 - 1
    h = (torch.arange(math.prod(shape)) * 2654435761 + (entry + 1) * 40503 * 65537 + 12345) & low
    h = ((h ^ (h >> 15)) * 2246822519) & low  # int64 wraps around, which leaves the low 32 bits right
    h = h ^ (h >> 13)
    return (2 * h.double() / 2**32 - 1).view(shape)


def fill(name: str, u: Tensor) -> Tensor:
    """The value of an entry from its noise, as ``settings.fill`` says."""
    if u.dim() == 4:
        return u * math.sqrt(6 / u[0].numel())
    if u.dim() == 2:
        return u * math.sqrt(3 / u.shape[1])
    if name.endswith("running_var"):
        return 1 + 0.3 * u
    return 0.6 + 0.2 * u if name.endswith("weight") else 0.1 * u


def imagenet_resnet(case: Case, dtype: torch.dtype) -> dict[str, Tensor]:
    settings = case.settings
    depth = case["method"].removeprefix("net_cd_")
    classes, stem = settings["num_classes"], settings["stem"]
    nets = json.loads((case.folder / "networks.json").read_text())["channel_distillation"]["nets"]
    entries = nets[f"{depth}.{stem}.classes{classes}.input{settings['input']}"]["state_entries"]
    state = {name: fill(name, noise(j, shape)).float() for j, (name, shape) in enumerate(entries)}
    network = create(depth if stem == "imagenet" else f"{depth}-cifar", classes).eval()
    missing, unexpected = network.load_state_dict(state, strict=False)
    assert not unexpected
    assert all(name.endswith("num_batches_tracked") for name in missing)
    values = Taps(network.to(dtype), "net", ["net", *(f"net.stage{i}" for i in range(1, 5))])(
        case.record("in", dtype)["images"]
    )
    outputs = {"logits": values["net"].detach()}
    for i, statistics in enumerate(case["values"]["stage_stats"], start=1):
        maps = values[f"net.stage{i}"].detach()
        found = {"mean": maps.mean(), "std": maps.std(correction=0), "norm": maps.norm()}
        for name, expected in statistics.items():
            torch.testing.assert_close(found[name].item(), expected, rtol=1e-5, atol=0, msg=f"stage{i} {name}")
        outputs |= {f"stage{i}_pooled": maps.mean(dim=(2, 3)), f"stage{i}_first64": maps.flatten()[:64]}
    return outputs


FORWARDS: dict[str, Callable[[Case, torch.dtype], dict[str, Tensor]]] = {"net_cd_resnet18": imagenet_resnet}
