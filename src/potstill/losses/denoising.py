"""What `DiffKD` is made of: bottlenecks, a denoiser of noisy features, what finds their noise level, and the steps."""

from collections import OrderedDict
from collections.abc import Callable

import torch
from torch import Tensor, nn

from potstill.losses.connector import BatchNorm

TRAINED_STEPS = 1000
EMBEDDED_STEPS = 1280  # rows of the table, as in the authors' code


def kept_signal() -> Tensor:
    """What is left of a signal's power after each of the 1000 steps of noise, (1000,): products of 1 - beta.

    beta grows evenly from 1e-4 to 0.02. Ho, Jain and Abbeel, "Denoising diffusion probabilistic models", NeurIPS 2020,
    section 4: https://arxiv.org/abs/2006.11239
    """
    return (1 - torch.linspace(1e-4, 0.02, TRAINED_STEPS, dtype=torch.float64)).cumprod(0)


def denoise(maps: Tensor, kept: Tensor, steps: int, denoiser: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Take the noise out of maps (N, C, H, W) in ``steps`` equal steps, from about half of all noise down to none.

    Song, Meng and Ermon, "Denoising diffusion implicit models", ICLR 2021, eq. 12, without new noise:
    https://arxiv.org/abs/2010.02502
    """
    stride = TRAINED_STEPS // (2 * steps)
    for step in range(stride * (steps - 1), -1, -stride):
        noise = denoiser(maps, torch.full((len(maps),), step, device=maps.device))
        signal = (maps - (1 - kept[step]).sqrt() * noise) / kept[step].sqrt()
        before = kept[step - stride] if step else torch.ones_like(kept[0])
        maps = before.sqrt() * signal + (1 - before).sqrt() * noise
    return maps


def _convolutions(
    widths: tuple[int, ...], kernels: tuple[int, ...], first: int = 1, last_norm: bool = True
) -> "OrderedDict[str, nn.Module]":
    """Convolutions with biases, numbered from ``first``, batch norm after each (the last one, too?), ReLUs between."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for i, (width, out_width, kernel) in enumerate(zip(widths, widths[1:], kernels, strict=False), start=first):
        last = i == first + len(kernels) - 1
        layers[f"conv{i}"] = nn.Conv2d(width, out_width, kernel, padding=kernel // 2)
        if last_norm or not last:
            layers[f"bn{i}"] = BatchNorm(out_width)
        if not last:
            layers[f"relu{i}"] = nn.ReLU()
    return layers


class Bottleneck(nn.Sequential):
    """A residual block of 1x1, 3x3 and 1x1 convolutions, narrower inside by ``reduction``."""

    def __init__(self, width: int, reduction: int) -> None:
        middle = max(1, width // reduction)
        super().__init__(_convolutions((width, middle, middle, width), (1, 3, 1)))

    def forward(self, maps: Tensor) -> Tensor:
        """The map with the block's output added."""
        changed: Tensor = super().forward(maps)  # type: ignore[no-untyped-call]
        return maps + changed


class NoiseLevel(nn.Module):
    """How much of a student's map counts as signal, between 0 and 1, for each sample: (N, 1, 1, 1)."""

    def __init__(self, width: int, flat: bool) -> None:
        super().__init__()
        flat_layers = _convolutions((width, 2 * width, width), (1, 1))
        self.block = nn.Sequential(flat_layers) if flat else Bottleneck(width, 8)
        self.linear = nn.Linear(width, 2)

    def forward(self, maps: Tensor) -> Tensor:
        """The first of two softmax outputs."""
        features = self.block(maps).mean(dim=(2, 3))
        return torch.softmax(self.linear(features), dim=1)[:, :1, None, None]


class Denoiser(nn.Module):
    """Finds the noise in maps (N, C, H, W) of steps (N,): by bottlenecks, or 1x1 convolutions for one position."""

    def __init__(self, width: int, flat: bool) -> None:
        super().__init__()
        self.time = nn.Embedding(EMBEDDED_STEPS, width)
        if flat:
            widths = width, 4 * width, width
            second = _convolutions(widths, (1, 1), first=3, last_norm=False)
            self.layers = nn.Sequential(_convolutions(widths, (1, 1)) | second)
        else:
            out = nn.Sequential(OrderedDict(conv=nn.Conv2d(width, width, 1), bn=BatchNorm(width)))
            blocks = {"block1": Bottleneck(width, 4), "block2": Bottleneck(width, 4), "out": out}
            self.layers = nn.Sequential(OrderedDict(blocks))

    def forward(self, maps: Tensor, steps: Tensor) -> Tensor:
        """The noise, of the shape of the maps."""
        noise: Tensor = self.layers(maps + self.time(steps)[:, :, None, None])
        return noise
