"""Residual networks of ImageNet: four stages of basic or bottleneck blocks, with the stem for large or small images."""

import torch
from torch import Tensor, nn

from potstill.checked import checked
from potstill.errors import BadInput
from potstill.networks.initialise import initialise
from potstill.networks.resnet_cifar import BasicBlock, projection
from potstill.ranges import Classes, Depth

BASIC = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
BOTTLENECK = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
"""Depth to blocks of each stage; table 1 of the paper."""


class Bottleneck(nn.Module):
    """relu(bn(1x1(relu(bn(3x3(relu(bn(1x1(x)))))))) + shortcut(x)), a quarter of the channels in between.

    The 3x3 convolution has the stride, where the paper's first 1x1 has it ("version 1.5", as in torchvision).
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        width = outputs // 4
        self.conv1 = nn.Conv2d(inputs, width, kernel_size=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(width, width, kernel_size=3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu2 = nn.ReLU()
        self.conv3 = nn.Conv2d(width, outputs, kernel_size=1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        changes = stride != 1 or inputs != outputs
        self.downsample = projection(inputs, outputs, stride) if changes else nn.Identity()
        self.relu3 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H/stride, W/stride)."""
        out = self.relu1(self.bn1(self.conv1(x)))
        out = self.relu2(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        activated: Tensor = self.relu3(out + self.downsample(x))
        return activated


class ImageNetResNet(nn.Module):
    """Stem, four stages (stride 1, 2, 2, 2), global average pooling, classifier; torchvision's weights fit as they are.

    With ``small_images``, the stem is a 3x3 convolution of stride 1 instead of a 7x7 of stride 2 and a 3x3 max pooling
    of stride 2. Maps images (N, 3, H, W) of any size to logits (N, classes). ``BadInput`` for a depth that is not
    the paper's.

    Source: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, table 1,
    https://arxiv.org/abs/1512.03385
    """

    aliases: dict[str, str]

    @checked
    def __init__(self, depth: Depth, classes: Classes, small_images: bool = False) -> None:
        super().__init__()
        if depth not in BASIC | BOTTLENECK:
            depths = ", ".join(str(known) for known in BASIC | BOTTLENECK)
            raise BadInput(f"an ImageNet ResNet has a depth of {depths}, not {depth}")
        if small_images:
            self.conv1 = nn.Conv2d(3, 64, kernel_size=3, padding=1, bias=False)
        else:
            self.conv1 = nn.Conv2d(3, 64, kernel_size=7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()
        self.maxpool = nn.Identity() if small_images else nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.layer1 = _stage(depth, 1)
        self.layer2 = _stage(depth, 2)
        self.layer3 = _stage(depth, 3)
        self.layer4 = _stage(depth, 4)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(_widths(depth)[4], classes)
        self.aliases = {"stem": "relu", "pooled": "fc:in"}
        last = "relu2" if depth in BASIC else "relu3"
        for stage, blocks in enumerate((BASIC | BOTTLENECK)[depth], start=1):
            self.aliases[f"stage{stage}"] = f"layer{stage}"
            self.aliases[f"stage{stage}:pre"] = f"layer{stage}.{blocks - 1}.{last}:in"
        initialise(self)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, 3, H, W) to logits (N, classes)."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        logits: Tensor = self.fc(torch.flatten(self.avgpool(x), 1))
        return logits


def _widths(depth: int) -> tuple[int, ...]:
    """Channels of the stem and of what the four stages return."""
    return (64, 64, 128, 256, 512) if depth in BASIC else (64, 256, 512, 1024, 2048)


def _stage(depth: int, number: int) -> nn.Sequential:
    inputs, outputs = _widths(depth)[number - 1 : number + 1]
    stride = 1 if number == 1 else 2
    blocks = (BASIC | BOTTLENECK)[depth][number - 1]
    first = _block(depth, inputs, outputs, stride)
    return nn.Sequential(first, *(_block(depth, outputs, outputs, 1) for _ in range(blocks - 1)))


def _block(depth: int, inputs: int, outputs: int, stride: int) -> nn.Module:
    if depth in BASIC:
        return BasicBlock(inputs, outputs, stride, projection)
    return Bottleneck(inputs, outputs, stride)


@checked
def resnet_imagenet(depth: Depth, classes: Classes) -> ImageNetResNet:
    """ImageNet ResNet of four stages, stride in the 3x3 convolutions; loads torchvision's weights.

    Source: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, https://arxiv.org/abs/1512.03385
    """
    return ImageNetResNet(depth, classes)


@checked
def resnet_imagenet_cifar(depth: Depth, classes: Classes) -> ImageNetResNet:
    """ImageNet ResNet for small images: a 3x3 stem of stride 1 and no max pooling; depths 18, 34, 50, 101, 152.

    Source: Zhou et al., "Channel distillation", 2020, https://arxiv.org/abs/2006.01683
    """
    return ImageNetResNet(depth, classes, small_images=True)
