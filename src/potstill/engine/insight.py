"""What a run's accuracies leave out: how far its networks agree, where they look, what they cost.

Attention maps are the mean of the squares over the channels: Zagoruyko and Komodakis, "Paying more attention to
attention", ICLR 2017, section 3.1: https://arxiv.org/abs/1612.03928.
"""

import json
import math
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from potstill.batch import as_batch
from potstill.data import Data
from potstill.distiller import Distiller
from potstill.eval_mode import eval_mode, uncompiled
from potstill.maps import as_map
from potstill.networks.cost import macs, parameters
from potstill.networks.dry_run import DryRun
from potstill.networks.stages import stages_of
from potstill.runs.names import INSIGHT
from potstill.runs.schema import Agreement, Array, Insight, Learner, Maps, Memory, Prediction, Summary, Teacher
from potstill.taps import AS_MAP, Place, find
from potstill.whole_file import write_whole

IMAGES = 6  # the first test images are looked at closely
IMAGE_SIDE, MAP_SIDE = 56, 32  # pixels at most, so that the file stays below 150 kB


def insight(distiller: Distiller, data: Data) -> Insight:
    """Compare a distiller's networks on the test set; nothing in them changes, nor any random state.

    Returns:
        ``agreement`` {learner: {other network: {"top1", "kl", "n"}}}: in percent, how often both choose the same class;
        and the mean of KL(other || learner) in nats, at temperature 1. ``images``: the first test images, each with
        ``label``, ``class`` and ``pixels`` as uint8 (H, W, C). ``predictions`` {network: [{"label", "class",
        "probability"}]}, one an image. ``attention`` {network: {stage: {"tap", "maps"}}}: one map an image, uint8
        (H, W), from 0 at its lowest value to 255 at its highest. Stages are those of `find_stages`; tokens are
        laid out as maps. Arrays are {"shape", "base64"}.
    """
    networks = dict(distiller.networks.items())
    first = as_batch(next(iter(data.test)))
    images, labels = first["images"][:IMAGES], first["labels"][:IMAGES].tolist()
    with _at_rest(distiller):
        maps: dict[str, dict[str, Maps]] = {}
        logits: dict[str, Tensor] = {}
        for name, network in networks.items():
            logits[name], maps[name] = _look(network, name, images)
        return {
            "agreement": _agreement(distiller, data, {name: values.shape[1] for name, values in logits.items()}),
            "images": [
                {"label": label, "class": data.classes[label], "pixels": _array(pixels)}
                for label, pixels in zip(labels, _pixels(images, data), strict=True)
            ],
            "predictions": {name: _predictions(values, data.classes) for name, values in logits.items()},
            "attention": maps,
        }


def write_insight(folder: Path, distiller: Distiller, data: Data) -> Path:
    """Write `insight` as ``insight.json`` into a run folder; returns the file."""
    file = folder / INSIGHT
    write_whole(file, (json.dumps(insight(distiller, data)) + "\n").encode())
    return file


def with_costs(summary: Summary, distiller: Distiller, data: Data) -> Summary:
    """A run's summary with ``parameters`` and ``macs`` (multiply-adds an image) of every network, and ``memory``.

    ``memory`` is the peak in ``peak_bytes``, of "cuda": allocated there since the peak was last reset, or of "process":
    resident, since it began.
    """
    channels, height, width = as_batch(next(iter(data.test)))["images"].shape[1:]
    with _at_rest(distiller):
        costs = {
            name: {"parameters": parameters(network), "macs": macs(network, (channels, height, width))}
            for name, network in distiller.networks.items()
        }
    teachers: dict[str, Teacher] = {name: {**costs[name], **known} for name, known in summary["teachers"].items()}
    learners: dict[str, Learner] = {
        name: {"parameters": costs[name]["parameters"], "macs": costs[name]["macs"], **known}
        for name, known in summary["learners"].items()
    }
    memory = peak_memory(distiller.weights.device)
    return {**summary, "teachers": teachers, "learners": learners, "memory": memory}


def peak_memory(device: torch.device) -> Memory | None:
    """The most memory in use so far: ``peak_bytes``, and ``of`` what. None on Windows, which has no `resource`."""
    if device.type == "cuda":
        return {"peak_bytes": torch.cuda.max_memory_allocated(device), "of": "cuda"}
    if sys.platform == "win32":
        return None
    import resource

    unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss: bytes there, KiB elsewhere
    return {"peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit, "of": "process"}


@contextmanager
def _at_rest(distiller: Distiller) -> Iterator[None]:
    """Networks in eval mode, without autograd, uncompiled (hooks and other batch sizes would compile them again)."""
    device = distiller.weights.device
    with (
        eval_mode(distiller.networks),
        torch.no_grad(),
        torch.random.fork_rng([device] if device.type == "cuda" else []),
        uncompiled(),
    ):
        yield


def _agreement(distiller: Distiller, data: Data, classes: Mapping[str, int]) -> dict[str, dict[str, Agreement]]:
    """Every learner beside every other network of the same number of classes, over all test images."""
    names = list(distiller.networks)
    pairs = [(a, b) for a in distiller.learners for b in names if a != b and classes[a] == classes[b]]
    found: dict[str, dict[str, Agreement]] = {learner: {} for learner in distiller.learners}
    if not pairs:
        return found
    sums, images = torch.zeros(len(pairs), 2, dtype=torch.float64, device=distiller.weights.device), 0
    for batch in map(as_batch, data.test):
        logs = {name: network(batch["images"]).float().log_softmax(1) for name, network in distiller.networks.items()}
        chosen = {name: values.argmax(1) for name, values in logs.items()}
        for row, (a, b) in zip(sums, pairs, strict=True):
            row[0] += (chosen[a] == chosen[b]).sum()
            row[1] += F.kl_div(logs[a], logs[b], reduction="sum", log_target=True)
        images += len(batch["labels"])
    for (a, b), (same, divergence) in zip(pairs, sums.tolist(), strict=True):
        found[a][b] = {"top1": 100 * same / images, "kl": divergence / images, "n": images}
    return found


def _predictions(logits: Tensor, classes: tuple[str, ...]) -> list[Prediction]:
    best = logits.float().softmax(1).max(1)
    rows = zip(best.indices.tolist(), best.values.tolist(), strict=True)
    return [
        {"label": label, "class": classes[label] if label < len(classes) else str(label), "probability": probability}
        for label, probability in rows
    ]


def _look(network: nn.Module, name: str, images: Tensor) -> tuple[Tensor, dict[str, Maps]]:
    """The logits of ``images`` (N, C, H, W), and the attention maps of each stage."""
    run = DryRun(network, name, images[:2])
    stages = {f"stage{i}": stage for i, stage in enumerate(stages_of(run), start=1)}
    places = {stage: find(network, name, one.path) for stage, one in stages.items() if math.prod(one.shape[1:]) > 1}
    seen: dict[str, Tensor] = {}  # the last call of each place; as attention, which nothing overwrites later

    def record(stage: str, value: Tensor) -> None:
        seen[stage] = as_map(value, run.size).float().square().mean(1, keepdim=True)

    hooks = [_watch(network.get_submodule(place.path), place, stage, record) for stage, place in places.items()]
    try:
        logits = network(images)
    finally:
        for hook in hooks:
            hook.remove()
    return logits, {stage: _maps(_address(place), seen[stage]) for stage, place in places.items()}


def _address(place: Place) -> str:
    """The address of a place by the module's own name, also if an alias led there."""
    return place.path + (":in" if place.at_input else "") + (AS_MAP if place.as_map else "")


def _watch(module: nn.Module, place: Place, stage: str, record: Callable[[str, Tensor], None]) -> Any:
    if place.at_input:
        return module.register_forward_pre_hook(lambda _, args: record(stage, args[0]))
    return module.register_forward_hook(lambda _, args, output: record(stage, output))


def _maps(address: str, attention: Tensor) -> Maps:
    small = _at_most(attention, MAP_SIDE)[:, 0]
    low, high = small.amin((1, 2), keepdim=True), small.amax((1, 2), keepdim=True)
    scaled = 255 * (small - low) / (high - low).clamp(min=torch.finfo(small.dtype).tiny)
    return {"tap": address, "maps": [_array(one) for one in scaled]}


def _pixels(images: Tensor, data: Data) -> Tensor:
    """Normalised images (N, C, H, W) as they were before: 0..255, (N, H, W, C)."""
    mean, std = (images.new_tensor(values).view(1, -1, 1, 1) for values in (data.mean, data.std))
    return _at_most(255 * (images * std + mean), IMAGE_SIDE).permute(0, 2, 3, 1)


def _at_most(maps: Tensor, side: int) -> Tensor:
    """Maps (N, C, H, W), averaged down where a side is longer than ``side`` pixels."""
    longest = max(maps.shape[2:])
    if longest <= side:
        return maps
    height, width = (max(1, round(size * side / longest)) for size in maps.shape[2:])
    return F.interpolate(maps, (height, width), mode="area")


def _array(values: Tensor) -> Array:
    """Values from 0 to 255 as uint8."""
    content = values.round().clamp(0, 255).to("cpu", torch.uint8).contiguous().numpy().tobytes()
    return {"shape": list(values.shape), "base64": b64encode(content).decode()}
