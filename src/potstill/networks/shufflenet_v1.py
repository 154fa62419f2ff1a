"""ShuffleNetV1 for small images: pointwise convolutions in groups, channels shuffled between them."""

import torch
from torch import Tensor, nn

from potstill.checked import checked
from potstill.ranges import Classes

GROUPS = 3
STEM = 24
STAGES = ((240, 4), (480, 8), (960, 4))
"""Channels and units of each stage: table 1 of the paper, 3 groups."""


class Shuffle(nn.Module):
    """Channels of ``groups`` groups, dealt out in turns: afterwards neighbours come from different groups."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        """Reorder ``x`` (N, C, H, W) along C."""
        n, channels, height, width = x.shape
        groups = x.reshape(n, self.groups, channels // self.groups, height, width)
        return groups.transpose(1, 2).flatten(1, 2)


class Unit(nn.Module):
    """relu(bn(1x1(relu(bn(depthwise 3x3(shuffle(relu(bn(1x1(x))))))))) + x), 1x1 in groups, a quarter wide inside.

    With stride 2, the average-pooled input is not added but stands after the new channels, in all ``outputs``.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.halves = stride == 2
        new = outputs - inputs if self.halves else outputs
        inside = new // 4
        # The stem has too few channels to be worth splitting, says the paper.
        groups = 1 if inputs == STEM else GROUPS
        self.conv1 = nn.Conv2d(inputs, inside, kernel_size=1, groups=groups, bias=False)
        self.bn1 = nn.BatchNorm2d(inside)
        self.relu1 = nn.ReLU()
        self.shuffle = Shuffle(groups)
        self.conv2 = nn.Conv2d(inside, inside, kernel_size=3, stride=stride, padding=1, groups=inside, bias=False)
        self.bn2 = nn.BatchNorm2d(inside)
        self.relu2 = nn.ReLU()
        self.conv3 = nn.Conv2d(inside, new, kernel_size=1, groups=GROUPS, bias=False)
        self.bn3 = nn.BatchNorm2d(new)
        self.shortcut = nn.AvgPool2d(kernel_size=3, stride=2, padding=1) if self.halves else nn.Identity()
        self.relu3 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H/stride, W/stride), rounded up."""
        out = self.shuffle(self.relu1(self.bn1(self.conv1(x))))
        out = self.relu2(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        shortcut = self.shortcut(x)
        activated: Tensor = self.relu3(torch.cat([out, shortcut], 1) if self.halves else out + shortcut)
        return activated


class ShuffleNetV1(nn.Module):
    """1x1 stem of 24 channels, three stages of 240, 480, 960 channels, each of stride 2, global pooling, classifier.

    Maps images (N, 3, H, W) of any size to logits (N, classes). It is RepDistiller's, and differs from the paper: the
    stem neither strides nor pools, there is a ReLU after the depthwise convolution too, and the first unit does not
    shuffle, as its first convolution has one group. Convolutions start as torch has it, which RepDistiller does not
    change.

    Source: Zhang et al., "ShuffleNet: An Extremely Efficient Convolutional Neural Network for Mobile Devices",
    CVPR 2018, https://arxiv.org/abs/1707.01083; layout for small images as in https://github.com/HobbitLong/RepDistiller
    """

    aliases: dict[str, str]

    @checked
    def __init__(self, classes: Classes) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, STEM, kernel_size=1, bias=False)
        self.bn1 = nn.BatchNorm2d(STEM)
        self.relu = nn.ReLU()
        self.layer1 = _stage(STEM, *STAGES[0])
        self.layer2 = _stage(STAGES[0][0], *STAGES[1])
        self.layer3 = _stage(STAGES[1][0], *STAGES[2])
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(STAGES[2][0], classes)
        self.aliases = {"stem": "relu", "pooled": "fc:in"}
        for stage, (_, units) in enumerate(STAGES, start=1):
            self.aliases[f"stage{stage}"] = f"layer{stage}"
            self.aliases[f"stage{stage}:pre"] = f"layer{stage}.{units - 1}.relu3:in"

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, 3, H, W) to logits (N, classes)."""
        x = self.relu(self.bn1(self.conv1(images)))
        x = self.layer3(self.layer2(self.layer1(x)))
        logits: Tensor = self.fc(torch.flatten(self.pool(x), 1))
        return logits


def _stage(inputs: int, outputs: int, units: int) -> nn.Sequential:
    return nn.Sequential(Unit(inputs, outputs, 2), *(Unit(outputs, outputs, 1) for _ in range(units - 1)))


@checked
def shufflenet_v1(classes: Classes) -> ShuffleNetV1:
    """ShuffleNetV1 for small images, 3 groups, widths 240, 480, 960.

    Source: Zhang et al., "ShuffleNet: An Extremely Efficient Convolutional Neural Network for Mobile Devices",
    CVPR 2018, https://arxiv.org/abs/1707.01083
    """
    return ShuffleNetV1(classes)
