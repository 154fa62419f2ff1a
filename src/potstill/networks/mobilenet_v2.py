"""MobileNetV2 for small images: inverted residual blocks with linear bottlenecks."""

import torch
from torch import Tensor, nn

from potstill.checked import checked
from potstill.errors import BadInput
from potstill.networks.initialise import initialise
from potstill.ranges import Classes, Wider

GROUPS = (
    *((1, 16, 1, 1), (6, 24, 2, 1), (6, 32, 3, 2), (6, 64, 4, 2)),
    *((6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)),
)
"""Expansion, channels at width 1, number of blocks, stride of the first: table 2 of the paper, but for the second
stride, which is 2 there."""

STAGES = {"stage1": "blocks.1", "stage2": "blocks.2", "stage3": "blocks.4", "stage4": "blocks.6"}
"""The groups whose outputs RepDistiller takes as feature maps."""

NARROWEST = 0.1


class InvertedResidual(nn.Module):
    """bn(1x1(relu(bn(depthwise 3x3(relu(bn(1x1(x)))))))), wider inside by the expansion; plus x where the sizes agree.

    Nothing is activated after the last batch norm: the bottleneck is linear.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        inside = expansion * inputs
        self.conv = nn.Sequential(
            nn.Conv2d(inputs, inside, kernel_size=1, bias=False),
            nn.BatchNorm2d(inside),
            nn.ReLU(),
            nn.Conv2d(inside, inside, kernel_size=3, stride=stride, padding=1, groups=inside, bias=False),
            nn.BatchNorm2d(inside),
            nn.ReLU(),
            nn.Conv2d(inside, outputs, kernel_size=1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H/stride, W/stride), rounded up."""
        out: Tensor = self.conv(x)
        return out + x if self.adds else out


class MobileNetV2(nn.Module):
    """3x3 stem of stride 2, seven groups of inverted residual blocks, 1x1 convolution, global pooling, classifier.

    ``width`` multiplies all channels but the 1280 at the end, which grow above width 1 only; fractions are cut off.
    Maps images (N, 3, H, W) of any size to logits (N, classes). ``BadInput`` for a width below 0.1.

    It is RepDistiller's, after Jin et al., "Knowledge Distillation via Route Constrained Optimization", ICCV 2019, and
    differs from the paper: the second group has stride 1 (a 32 x 32 image ends as 2 x 2), ReLU stands for ReLU6, the
    first block has an expansion convolution though its factor is 1, and there is no dropout. So are its taps: the four
    stages are what groups 1, 2, 4 and 6, counted from 0, return. No activation comes last there, so that ``stageI:pre``
    is the same map as ``stageI``.

    Source: Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018,
    https://arxiv.org/abs/1801.04381; layout for small images as in https://github.com/HobbitLong/RepDistiller
    """

    aliases: dict[str, str]

    @checked
    def __init__(self, width: Wider, classes: Classes) -> None:
        super().__init__()
        if width < NARROWEST:
            raise BadInput(f"a MobileNetV2 has a width of {NARROWEST} or more, not {width}")
        channels = int(32 * width)
        self.conv1 = _activated(channels, nn.Conv2d(3, channels, kernel_size=3, stride=2, padding=1, bias=False))
        self.blocks = nn.ModuleList()
        for expansion, base, number, stride in GROUPS:
            outputs = int(base * width)
            first = InvertedResidual(channels, outputs, stride, expansion)
            others = (InvertedResidual(outputs, outputs, 1, expansion) for _ in range(number - 1))
            self.blocks.append(nn.Sequential(first, *others))
            channels = outputs
        last = int(1280 * max(width, 1))
        self.conv2 = _activated(last, nn.Conv2d(channels, last, kernel_size=1, bias=False))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(last, classes)
        before = {f"{stage}:pre": path for stage, path in STAGES.items()}
        self.aliases = {"stem": "conv1", "pooled": "fc:in", **STAGES, **before}
        initialise(self)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, 3, H, W) to logits (N, classes)."""
        x = self.conv1(images)
        for group in self.blocks:
            x = group(x)
        logits: Tensor = self.fc(torch.flatten(self.pool(self.conv2(x)), 1))
        return logits


def _activated(channels: int, convolution: nn.Conv2d) -> nn.Sequential:
    return nn.Sequential(convolution, nn.BatchNorm2d(channels), nn.ReLU())


@checked
def mobilenet_v2(width: Wider, classes: Classes) -> MobileNetV2:
    """MobileNetV2 for small images, channels times the given factor (0.5 in the CRD benchmark).

    Source: Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018,
    https://arxiv.org/abs/1801.04381
    """
    return MobileNetV2(width, classes)
