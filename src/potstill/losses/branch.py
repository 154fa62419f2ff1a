"""A side branch: from a map inside a network to features as they are at its end."""

from torch import Tensor, nn

from potstill.losses.connector import BatchNorm


def make_branch(channels: int, features: int, kernel: int) -> nn.Sequential:
    """A bottleneck from maps (N, channels, H, W) to (N, features, H / kernel, W / kernel), in three convolutions.

    1x1 to a quarter of the features, kernel x kernel of that stride, 1x1 to all of them; each with a bias, batch norm
    and ReLU, and drawn as He et al., 2015, have it for what flows back: https://arxiv.org/abs/1502.01852.
    """
    middle = max(1, features // 4)
    layers: list[nn.Module] = []
    for inputs, outputs, side in ((channels, middle, 1), (middle, middle, kernel), (middle, features, 1)):
        convolution = nn.Conv2d(inputs, outputs, side, stride=side)
        nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
        layers += [convolution, BatchNorm(outputs), nn.ReLU()]
    return nn.Sequential(*layers)


def kernel_for(value: Tensor, later: int) -> int:
    """The kernel of a branch from a map (N, C, H, W) with ``later`` stages after it, each of which halves a map."""
    return int(min(2**later, *value.shape[2:]))
