"""Residual networks for small images: three stages of post-activation basic blocks, depth 6n + 2."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from potstill.checked import checked
from potstill.errors import BadInput
from potstill.networks.initialise import initialise
from potstill.ranges import Classes, Depth, Width

Shortcut = Callable[[int, int, int], nn.Module]  # (channels in, channels out, stride) -> module


def projection(inputs: int, outputs: int, stride: int) -> nn.Module:
    """Shortcut of option B: 1x1 convolution and batch norm, (N, inputs, H, W) -> (N, outputs, H/s, W/s)."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel_size=1, stride=stride, bias=False), nn.BatchNorm2d(outputs))


class ZeroPad(nn.Module):
    """Shortcut of option A, without parameters: skip pixels and add channels of zeros on both sides.

    (N, inputs, H, W) -> (N, outputs, H/stride, W/stride), sizes rounded up. The paper leaves open where the
    zeros go; half of them before and half after is what published CIFAR checkpoints were trained with
    (https://github.com/akamaster/pytorch_resnet_cifar10).
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.before = (outputs - inputs) // 2
        self.after = outputs - inputs - self.before
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Subsample and pad ``x`` (N, inputs, H, W)."""
        x = x[:, :, :: self.stride, :: self.stride]
        return F.pad(x, (0, 0, 0, 0, self.before, self.after))


class BasicBlock(nn.Module):
    """relu(bn(conv(relu(bn(conv(x))))) + shortcut(x)); every activation is a module of its own, to be tapped."""

    def __init__(self, inputs: int, outputs: int, stride: int, shortcut: Shortcut) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, kernel_size=3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(outputs, outputs, kernel_size=3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        changes = stride != 1 or inputs != outputs
        self.downsample = shortcut(inputs, outputs, stride) if changes else nn.Identity()
        self.relu2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H/stride, W/stride)."""
        out = self.relu1(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        activated: Tensor = self.relu2(out + self.downsample(x))
        return activated


class CifarResNet(nn.Module):
    """3x3 stem, three stages of n basic blocks (stride 1, 2, 2), global average pooling, classifier.

    ``widths`` are the channels of the stem and of the three stages. Maps images (N, 3, H, W) of any size to
    logits (N, classes). ``BadInput`` for a depth that is not 6n + 2.

    Source: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, sec. 4.2,
    https://arxiv.org/abs/1512.03385
    """

    aliases: dict[str, str]

    @checked
    def __init__(
        self, depth: Depth, widths: tuple[Width, Width, Width, Width], classes: Classes, shortcut: Shortcut
    ) -> None:
        super().__init__()
        blocks = _blocks_per_stage(depth)
        stem, *stages = widths
        self.conv1 = nn.Conv2d(3, stem, kernel_size=3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(stem)
        self.relu = nn.ReLU()
        self.layer1 = _stage(blocks, stem, stages[0], 1, shortcut)
        self.layer2 = _stage(blocks, stages[0], stages[1], 2, shortcut)
        self.layer3 = _stage(blocks, stages[1], stages[2], 2, shortcut)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(stages[2], classes)
        self.aliases = {"stem": "relu", "pooled": "fc:in"}
        for stage in (1, 2, 3):
            self.aliases[f"stage{stage}"] = f"layer{stage}"
            self.aliases[f"stage{stage}:pre"] = f"layer{stage}.{blocks - 1}.relu2:in"
        initialise(self)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, 3, H, W) to logits (N, classes)."""
        x = self.relu(self.bn1(self.conv1(images)))
        x = self.layer3(self.layer2(self.layer1(x)))
        logits: Tensor = self.fc(torch.flatten(self.pool(x), 1))
        return logits


def _blocks_per_stage(depth: Depth) -> int:
    if depth < 8 or (depth - 2) % 6:
        nearest = 6 * max(1, round((depth - 2) / 6)) + 2
        raise BadInput(f"a CIFAR ResNet has a depth of 6n + 2, not {depth}; the nearest is {nearest}")
    return (depth - 2) // 6


def _stage(blocks: int, inputs: int, outputs: int, stride: int, shortcut: Shortcut) -> nn.Sequential:
    first = BasicBlock(inputs, outputs, stride, shortcut)
    return nn.Sequential(first, *(BasicBlock(outputs, outputs, 1, shortcut) for _ in range(blocks - 1)))


@checked
def resnet(depth: Depth, classes: Classes) -> CifarResNet:
    """CIFAR ResNet with projection shortcuts (option B), widths 16, 32, 64.

    Source: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, https://arxiv.org/abs/1512.03385
    """
    return CifarResNet(depth, (16, 16, 32, 64), classes, projection)


@checked
def resnet_a(depth: Depth, classes: Classes) -> CifarResNet:
    """CIFAR ResNet with parameter-free identity shortcuts (option A), widths 16, 32, 64.

    Source: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, https://arxiv.org/abs/1512.03385
    """
    return CifarResNet(depth, (16, 16, 32, 64), classes, ZeroPad)


@checked
def resnet_x4(depth: Depth, classes: Classes) -> CifarResNet:
    """CIFAR ResNet four times as wide (stem 32, stages 64, 128, 256), projection shortcuts.

    Source: Tian et al., "Contrastive Representation Distillation", ICLR 2020, https://arxiv.org/abs/1910.10699
    """
    return CifarResNet(depth, (32, 64, 128, 256), classes, projection)
