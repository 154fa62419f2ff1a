"""ShuffleNetV2 for small images: half of the channels pass by each unit, then all are shuffled."""

import torch
from torch import Tensor, nn

from potstill.checked import checked
from potstill.networks.shufflenet_v1 import Shuffle
from potstill.ranges import Classes

STEM = 24
STAGES = ((116, 4), (232, 8), (464, 4))
"""Channels and units of each stage: table 5 of the paper, size 1x."""

LAST = 1024


class Unit(nn.Module):
    """shuffle(relu(concat(x1, bn(1x1(bn(depthwise 3x3(relu(bn(1x1(x2))))))))), where x is split into x1 and x2.

    The half x1 comes out of the ReLU of the unit before, so that the ReLU here leaves it as it is.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.conv1 = nn.Conv2d(half, half, kernel_size=1, bias=False)
        self.bn1 = nn.BatchNorm2d(half)
        self.relu1 = nn.ReLU()
        self.conv2 = _depthwise(half, stride=1)
        self.bn2 = nn.BatchNorm2d(half)
        self.conv3 = nn.Conv2d(half, half, kernel_size=1, bias=False)
        self.bn3 = nn.BatchNorm2d(half)
        self.relu2 = nn.ReLU()
        self.shuffle = Shuffle(2)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels, H, W), nowhere negative, to the same shape."""
        passing, out = x.chunk(2, dim=1)
        out = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(out)))))
        out = self.bn3(self.conv3(out))
        shuffled: Tensor = self.shuffle(self.relu2(torch.cat([passing, out], 1)))
        return shuffled


class DownUnit(nn.Module):
    """shuffle(relu(concat(left, right))) of two branches that both read all of x and stride by 2.

    left = bn(1x1(bn(depthwise 3x3(x)))) and right = bn(1x1(bn(depthwise 3x3(relu(bn(1x1(x))))))) are half of the
    outputs each.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        half = outputs // 2
        self.conv1 = _depthwise(inputs, stride=2)
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv2 = nn.Conv2d(inputs, half, kernel_size=1, bias=False)
        self.bn2 = nn.BatchNorm2d(half)
        self.conv3 = nn.Conv2d(inputs, half, kernel_size=1, bias=False)
        self.bn3 = nn.BatchNorm2d(half)
        self.relu1 = nn.ReLU()
        self.conv4 = _depthwise(half, stride=2)
        self.bn4 = nn.BatchNorm2d(half)
        self.conv5 = nn.Conv2d(half, half, kernel_size=1, bias=False)
        self.bn5 = nn.BatchNorm2d(half)
        self.relu2 = nn.ReLU()
        self.shuffle = Shuffle(2)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H/2, W/2), rounded up."""
        left = self.bn2(self.conv2(self.bn1(self.conv1(x))))
        right = self.bn4(self.conv4(self.relu1(self.bn3(self.conv3(x)))))
        right = self.bn5(self.conv5(right))
        shuffled: Tensor = self.shuffle(self.relu2(torch.cat([left, right], 1)))
        return shuffled


class ShuffleNetV2(nn.Module):
    """1x1 stem of 24 channels, stages of 116, 232, 464 channels, each of stride 2, 1x1 to 1024, pooling, classifier.

    Maps images (N, 3, H, W) of any size to logits (N, classes). It is RepDistiller's: its stem neither strides nor
    pools, where the paper's does both. So are its taps: ``stageI:pre`` has the channels that pass by the last unit,
    activated before, and then its new ones before their ReLU; ``stageI`` has them after it and shuffled. Convolutions
    start as torch has it, which RepDistiller does not change.

    Source: Ma et al., "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design", ECCV 2018,
    https://arxiv.org/abs/1807.11164; layout for small images as in https://github.com/HobbitLong/RepDistiller
    """

    aliases: dict[str, str]

    @checked
    def __init__(self, classes: Classes) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, STEM, kernel_size=1, bias=False)
        self.bn1 = nn.BatchNorm2d(STEM)
        self.relu1 = nn.ReLU()
        self.layer1 = _stage(STEM, *STAGES[0])
        self.layer2 = _stage(STAGES[0][0], *STAGES[1])
        self.layer3 = _stage(STAGES[1][0], *STAGES[2])
        self.conv2 = nn.Conv2d(STAGES[2][0], LAST, kernel_size=1, bias=False)
        self.bn2 = nn.BatchNorm2d(LAST)
        self.relu2 = nn.ReLU()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(LAST, classes)
        self.aliases = {"stem": "relu1", "pooled": "fc:in"}
        for stage, (_, units) in enumerate(STAGES, start=1):
            self.aliases[f"stage{stage}"] = f"layer{stage}"
            self.aliases[f"stage{stage}:pre"] = f"layer{stage}.{units - 1}.relu2:in"

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, 3, H, W) to logits (N, classes)."""
        x = self.relu1(self.bn1(self.conv1(images)))
        x = self.layer3(self.layer2(self.layer1(x)))
        x = self.relu2(self.bn2(self.conv2(x)))
        logits: Tensor = self.fc(torch.flatten(self.pool(x), 1))
        return logits


def _depthwise(channels: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, kernel_size=3, stride=stride, padding=1, groups=channels, bias=False)


def _stage(inputs: int, outputs: int, units: int) -> nn.Sequential:
    return nn.Sequential(DownUnit(inputs, outputs), *(Unit(outputs) for _ in range(units - 1)))


@checked
def shufflenet_v2(classes: Classes) -> ShuffleNetV2:
    """ShuffleNetV2 for small images, size 1x: widths 116, 232, 464.

    Source: Ma et al., "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design", ECCV 2018,
    https://arxiv.org/abs/1807.11164
    """
    return ShuffleNetV2(classes)
