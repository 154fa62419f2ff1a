"""Quantisation-aware training: learners compute with weights and activations rounded as 8-bit numbers will be.

The rounding is in the forward of each layer while its network trains, and nowhere else. The network stays the module
that it is: taps, the names and values of its weights, and what is measured of it are those of 32-bit numbers.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from potstill.distiller import Distiller
from potstill.errors import BadInput
from potstill.networks.cost import CONVOLUTIONS
from potstill.say import say
from potstill.taps import unwrapped

TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
WEIGHT_STEPS = 64
"""The largest weight of an output channel, in steps: 7 bits, as `potstill.export.int8` writes them, and why."""
STEPS = 255
"""From the smallest activation to the largest: 8 bits, unsigned, as there."""
PACE = 0.01
"""Part of a batch in the moving averages of its ends."""


class Activations(nn.Module):
    """Rounds what flows into a layer to 8 bits, in a range that follows what it sees.

        q = clamp(round(x / scale) + zero, 0, 255),    x' = scale * (q - zero)

    The range's ends are moving averages of each batch's smallest and largest value. The gradient passes as if nothing
    was rounded, but for what lies outside the range, which has none.

    Source: Jacob et al., "Quantization and training of neural networks for efficient integer-arithmetic-only
    inference", CVPR 2018, section 3: https://arxiv.org/abs/1712.05877
    """

    low: Tensor
    high: Tensor
    scale: Tensor
    zero: Tensor
    on: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("low", torch.tensor(torch.inf))
        self.register_buffer("high", torch.tensor(-torch.inf))
        self.register_buffer("scale", torch.ones(1))
        self.register_buffer("zero", torch.zeros(1, dtype=torch.int32))
        self.register_buffer("on", torch.ones(1, dtype=torch.int64), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Round ``x``, of any shape; bfloat16 stays bfloat16."""
        ends = (self.low, self.high, self.scale, self.zero)
        rounded = torch.fused_moving_avg_obs_fake_quant(x.float(), self.on, self.on, *ends, PACE, 0, STEPS, 0)
        return rounded.to(x.dtype)


def rounded_weight(layer: nn.Module, weight: Tensor) -> Tensor:
    """A layer's weight in steps of a 64th of the largest of each output channel; the gradient passes whole.

    What a batch norm makes of a convolution when it is folded in, a factor for each channel, is a factor of the step.
    """
    axis = 1 if isinstance(layer, TRANSPOSED) else 0
    others = [i for i in range(weight.dim()) if i != axis]
    scale = (weight.detach().abs().amax(others) / WEIGHT_STEPS).clamp(min=torch.finfo(weight.dtype).tiny)
    zero = torch.zeros_like(scale, dtype=torch.int32)
    return torch.fake_quantize_per_channel_affine(weight, scale, zero, axis, -WEIGHT_STEPS, WEIGHT_STEPS)


class Rounded:
    """The forward of a layer: its own, on rounded activations with a rounded weight while the network trains."""

    def __init__(self, network: nn.Module, layer: nn.Module, activations: Activations) -> None:
        self.network, self.layer, self.activations = network, layer, activations
        self.forward = layer.forward

    def __call__(self, input: Tensor, *rest: Any, **settings: Any) -> Any:
        """As the layer's own."""
        if not self.network.training:
            return self.forward(input, *rest, **settings)
        attributes, weight = vars(self.layer), self.layer._parameters["weight"]
        assert weight is not None, "check_roundable has seen it"
        attributes["weight"] = rounded_weight(self.layer, weight)  # which is found before the parameter
        try:
            return self.forward(self.activations(input), *rest, **settings)
        finally:
            del attributes["weight"]


def check_roundable(learners: Mapping[str, nn.Module]) -> None:
    """Look whether learners compute in ways that can be rounded.

    Raises:
        BadInput: one of them does not.
    """
    for name, network in learners.items():
        kind = type(unwrapped(network)).__name__
        if not _layers(network):
            raise BadInput(f"--qat rounds convolutions and linear layers, and {name} ({kind}) has none")
        for path, module in unwrapped(network).named_modules():
            if reason := _why_not(module):
                raise BadInput(f"--qat cannot round {name} ({kind}): {path} {reason}")


@contextmanager
def rounding(distiller: Distiller, on: bool = True) -> Iterator[None]:
    """Have all learners round while they train, if this is ``on``; afterwards they are as they were.

    The ranges are the distiller's ``ranges``, for each learner a list of `Activations`, one a layer.
    """
    layers = []
    try:
        for name, network in distiller.learners.items() if on else ():
            found = _layers(network)
            ranges = nn.ModuleList(Activations() for _ in found).to(distiller.weights.device)
            for layer, activations in zip(found, ranges, strict=True):
                assert isinstance(activations, Activations)
                vars(layer)["forward"] = Rounded(unwrapped(network), layer, activations)
                layers.append(layer)
            distiller.ranges[name] = ranges
            say(f"--qat: while {name} trains, its {len(found)} convolutions and linear layers round to 8-bit numbers")
        yield
    finally:
        for layer in layers:
            del vars(layer)["forward"]
        distiller.ranges.clear()


def _layers(network: nn.Module) -> list[nn.Module]:
    return [module for module in unwrapped(network).modules() if isinstance(module, (*CONVOLUTIONS, nn.Linear))]


def _why_not(module: nn.Module) -> str | None:
    """Why what a module computes cannot be rounded; None if it can, or need not be."""
    if isinstance(module, nn.MultiheadAttention):
        return "is torch's MultiheadAttention, which takes its linear layers apart; timm's attention has whole ones"
    if not isinstance(module, (*CONVOLUTIONS, nn.Linear)):
        return None
    weight = module._parameters.get("weight")
    if weight is None:
        return f"is a {type(module).__name__} that makes its weight of others (parametrised)"
    if weight.dtype != torch.float32:
        return f"has weights of {weight.dtype}; it takes torch.float32"
    return "has a forward of somebody else's" if "forward" in vars(module) else None
