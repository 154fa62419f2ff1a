"""Learned maps from a student's channels to a teacher's."""

from collections import OrderedDict

import torch.nn.functional as F
from torch import Tensor, nn

from potstill.ranks.rows import other_rows


class BatchNorm(nn.BatchNorm2d):
    """Batch norm of maps (N, C, H, W) or features (N, C) that uses its running statistics for a single value a channel.

    Its own variance says nothing, and PyTorch refuses to train on such a batch: a 1x1 map of the one sample that is
    left at an epoch's end.
    """

    def forward(self, input: Tensor) -> Tensor:
        if self.training and input.numel() == input.shape[1] and not other_rows():
            return F.batch_norm(input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        return super().forward(input)

    def _check_input_dim(self, input: Tensor) -> None:
        """What torch's own batch norm calls first, for which features would be of another class."""


def make_connector(channels: int, out_channels: int, relu: bool = False) -> nn.Sequential:
    """A 1x1 convolution without bias and batch norm, and perhaps a ReLU, from ``channels`` to ``out_channels``."""
    convolution = nn.Conv2d(channels, out_channels, 1, bias=False)
    layers: OrderedDict[str, nn.Module] = OrderedDict(conv=convolution, bn=BatchNorm(out_channels))
    if relu:
        layers["relu"] = nn.ReLU()
    return nn.Sequential(layers)


def make_align(channels: int, out_channels: int) -> nn.Module:
    """A 1x1 convolution from ``channels`` to ``out_channels``; what leaves a map as it is, if they are equal."""
    return nn.Identity() if channels == out_channels else nn.Conv2d(channels, out_channels, 1)
