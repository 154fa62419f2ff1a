"""``potstill describe``: what a network costs and where it can be tapped; or what a loss is."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import potstill as ps
from potstill.commands.describe_loss import describe_loss
from potstill.commands.taps import find_taps
from potstill.errors import BadInput
from potstill.presets import described
from potstill.ranges import Classes, Count, Side

if TYPE_CHECKING:
    from torch import nn

BATCHES = (1, 64)


def describe(
    network: str | None = None,
    /,
    *,
    preset: str | None = None,
    conv: str | None = None,
    classes: Classes | None = None,
    input: tuple[Count, Side, Side] | None = None,
    layers: bool = False,
    latency: bool = False,
    device: str = "auto",
) -> dict[str, Any]:
    """Count a network's parameters and multiply-adds, and list its taps; or tell what a loss or a preset is.

    With other convolutions, the network as it is (the teacher) and with them (the student) stand side by side.
    Latencies are of this machine: medians in milliseconds, and the quartiles around them. Two networks are measured in
    turns.

    Args:
        network: for example resnet20, wrn-16-2, timm:NAME, torchvision:NAME, file.py:callable, or a run folder. Or a
            loss, for example KD: its equation, paper, taps, arguments and usual weight.
        preset: in the place of a network: cifar, crd, deit, vanilla-kd or fine-tune.
        conv: cheap convolutions to put in the place of its spatial ones, for example G8B2 or DConv.
        classes: number of classes; by default those of the run folder, else 10.
        input: channels, height and width of an image; by default those of the run folder's data, else 3 32 32.
        layers: list what every layer costs; with other convolutions, every layer of the student.
        latency: measure how long a forward pass of 1 and of 64 images takes.
        device: where to measure that: cpu, cuda, cuda:1, ...; auto takes a GPU if there is one.
    """
    if network is None or preset is not None:
        return preset_alone(network, preset)
    if network in ps.losses.__all__:
        return loss_alone(network, of_networks=bool(conv or classes or input or layers or latency))
    trained_classes, trained_input = of_run(network)
    classes, input = trained_classes if classes is None else classes, input or trained_input
    built = build(network, classes, input)
    networks = {"network": built}
    if conv is not None:
        networks = {"teacher": build(network, classes, input), "student": ps.networks.substitute(built, conv)}
    counts = {name: count(one, input) for name, one in networks.items()}
    taps, shapes = find_taps(built, input)
    result: dict[str, Any] = {"network": network, **({} if conv is None else {"conv": conv})}
    result |= {**list(counts.values())[-1], "taps": taps, "shapes": shapes}
    if layers:
        result["layers"] = [asdict(layer) for layer in ps.networks.layers(built, input)]
    rows = beside(counts)
    if latency:
        found, times = measure(networks, input, device)
        result |= found
        rows += times
    if conv is not None or latency:
        result["table"] = rows
    return result


def loss_alone(name: str, of_networks: bool) -> dict[str, Any]:
    """What a loss is.

    Raises:
        BadInput: a network's flags are given with it.
    """
    if of_networks:
        raise BadInput(f"{name} is a loss, which has no flags of a network")
    return describe_loss(name)


def preset_alone(network: str | None, preset: str | None) -> dict[str, Any]:
    """What a preset is.

    Raises:
        BadInput: it is unknown, or none is given, or a network as well.
    """
    if preset is None or network is not None:
        raise BadInput("give a network to describe, resnet20 say, or --preset NAME")
    return described(preset)


def of_run(network: str) -> tuple[int, tuple[int, int, int]]:
    """The classes and the images of the run that a network is of; the usual ones of any other network."""
    from potstill.runs import networks as run_networks
    from potstill.runs.reading import read_networks

    stored = run_networks.find(network)
    data = read_networks(stored.folder).get("data") if stored else None
    shape = data.get("shape") if data else None
    channels, height, width = shape if shape and len(shape) == 3 else (3, 32, 32)
    classes = None if stored is None else stored.classes  # 0 of a backbone
    return 10 if classes is None else classes, (channels, height, width)


def build(network: str, classes: int, shape: tuple[int, int, int]) -> "nn.Module":
    """The network, with the sizes of its lazy layers for images of that shape."""
    import torch

    from potstill.networks.lazy import materialise

    built = ps.networks.create(network, classes)
    materialise(built, network, [torch.zeros(1, *shape)])
    return built


def count(network: "nn.Module", shape: tuple[int, int, int]) -> dict[str, int]:
    """What a network costs on any machine."""
    return {
        "parameters": ps.networks.parameters(network),
        "conv_parameters": ps.networks.conv_parameters(network),
        "macs": ps.networks.macs(network, shape),
    }


def beside(counts: Mapping[str, Mapping[str, int]]) -> list[dict[str, Any]]:
    """A row for each cost: what it is in each network, and student over teacher if there are two."""
    rows = []
    for cost, name in (("parameters", "parameters"), ("conv_parameters", "conv parameters"), ("macs", "multiply-adds")):
        values = {network: own[cost] for network, own in counts.items()}
        ratio = {"ratio": values["student"] / values["teacher"]} if "student" in values else {}
        rows.append({"cost": name, **values, **ratio})
    return rows


def measure(
    networks: "Mapping[str, nn.Module]", shape: tuple[int, int, int], device: str
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """How long the networks take in turns, as numbers and as rows of text. They are moved to the device."""
    from potstill.device import find_device

    where = find_device(device)
    moved = [network.to(where) for network in networks.values()]
    numbers, rows = [], []
    for found in ps.networks.latencies(moved, shape, BATCHES):
        spreads = {name: one.milliseconds for name, one in zip(networks, found, strict=True)}
        if "student" in spreads:
            teacher, student = found
            spreads["ratio"] = student.over(teacher)
        batch, runs = found[0].batch, len(found[0].times)
        numbers.append({"batch": batch, "runs": runs, **{name: asdict(spread) for name, spread in spreads.items()}})
        cells = {name: str(spread) for name, spread in spreads.items()}
        rows.append({"cost": f"ms, batch of {batch}, {runs} runs", **cells})
    return {"device": found[0].device, "threads": found[0].threads, "latency_ms": numbers}, rows
