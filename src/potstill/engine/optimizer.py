"""Optimisers, with the learning rate as a tensor on the device."""

import torch
from torch import nn
from torch.optim import SGD, AdamW, Optimizer

from potstill.training import Training


def make_optimizer(distiller: nn.Module, training: Training) -> Optimizer:
    """The optimiser over everything that trains: learners and the losses' own parts; shared weights once.

    Weight decay is on all parameters, batch norms and biases included, as in all four seeds.
    """
    parameters = [parameter for parameter in distiller.parameters() if parameter.requires_grad]
    rate = torch.tensor(training.lr, dtype=torch.float32, device=parameters[0].device)
    fused = all(parameter.is_floating_point() for parameter in parameters)  # complex ones are not taken
    if training.optimizer == "adamw":
        return AdamW(parameters, lr=rate, weight_decay=training.weight_decay, fused=fused)
    sgd = SGD(
        parameters,
        lr=rate,
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


def set_learning_rate(optimizer: Optimizer, rate: float) -> None:
    """Write ``rate`` into the tensor that the optimiser reads, in place."""
    for group in optimizer.param_groups:
        group["lr"].fill_(rate)
