"""Optimisers, with the learning rate as a tensor on the device."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

from potstill.distiller import Distiller
from potstill.engine.depth import depths
from potstill.engine.timm_optimizers import make
from potstill.optimizers import DOT
from potstill.training import OF_TIMM, Training

SCALE = "lr_scale"
"""The entry of a group of parameters whose learning rate is the run's times this; timm's schedules call it so, too."""


def make_optimizer(distiller: nn.Module, training: Training) -> Optimizer:
    """The optimiser over everything that trains: learners and the losses' own parts; shared weights once.

    Weight decay is on all parameters, batch norms and biases included, as in all four seeds, unless the training says
    otherwise.
    """
    groups = parameter_groups(distiller, training)
    parameters = [parameter for group in groups for parameter in group["params"]]
    if training.optimizer.startswith(OF_TIMM):
        name = training.optimizer.removeprefix(OF_TIMM)
        return make(name, groups, training.lr, training.weight_decay, training.momentum)
    for group in groups:
        group["lr"] = torch.tensor(training.lr, dtype=torch.float32, device=parameters[0].device)
    fused = all(parameter.is_floating_point() for parameter in parameters)  # complex ones are not taken
    if training.optimizer == "dot":
        return DOT(groups, training.lr, training.momentum, training.delta, training.weight_decay)
    if training.optimizer == "adamw":
        return AdamW(groups, weight_decay=training.weight_decay, fused=fused)
    sgd = SGD(
        groups,
        momentum=training.momentum,
        weight_decay=training.weight_decay,
        nesterov=training.optimizer == "nesterov",
        fused=fused,
    )
    if training.momentum:
        # From 0 the first step is what it is without a buffer, bit for bit. The fused step fails on a mixture of both,
        # which a term that starts in a later epoch makes: what only it trains has had no gradient yet.
        for parameter in parameters:
            sgd.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    return sgd


def parameter_groups(distiller: nn.Module, training: Training) -> list[dict[str, Any]]:
    """What trains, in groups of one weight decay and one part of the learning rate: a single one unless asked for."""
    steps = {} if training.layer_decay == 1 else _from_output(distiller)
    groups: dict[tuple[bool, int], dict[str, Any]] = {}
    for parameter in distiller.parameters():
        if not parameter.requires_grad:
            continue
        decays, further = training.decay_norms or parameter.dim() > 1, steps.get(parameter, 0)
        group = groups.setdefault((decays, further), {"params": []})
        group["params"].append(parameter)
        if not decays:
            group["weight_decay"] = 0.0
        if further:
            group[SCALE] = training.layer_decay**further
    return list(groups.values())


def _from_output(distiller: nn.Module) -> Mapping[Tensor, int]:
    """Of every parameter of a learner, how many layers lie between it and the output."""
    assert isinstance(distiller, Distiller)
    return {p: further for network in distiller.learners.values() for p, further in depths(network).items()}


def set_learning_rate(optimizer: Optimizer, rate: float) -> None:
    """Write ``rate`` into what the optimiser reads, in place where that is a tensor, as a captured step needs it."""
    for group in optimizer.param_groups:
        own = rate * group[SCALE] if SCALE in group else rate
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(own)
        else:
            group["lr"] = own


def warm_up(optimizer: Optimizer, training: Training, epoch: int, step: int, steps: int | None) -> None:
    """Set the learning rate of a step, if its epoch warms up; else it is that of the epoch already."""
    if (rate := warming_up(training, epoch, step, steps)) is not None:
        set_learning_rate(optimizer, rate)


def warming_up(training: Training, epoch: int, step: int, steps: int | None) -> float | None:
    """The learning rate of a step of an epoch that warms up, both counted from 0; None after that.

    It rises step by step, where it is known how many steps an epoch has.
    """
    if epoch >= training.warmup or steps is None:
        return None
    return training.learning_rate()(epoch) * (epoch + (step + 1) / steps) / (epoch + 1)
