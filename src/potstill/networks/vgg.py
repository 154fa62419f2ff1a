"""VGG networks for small images: plain 3x3 convolutions with batch norm, max pooling in between, one linear layer."""

import torch
from torch import Tensor, nn

from potstill.checked import checked
from potstill.errors import BadInput
from potstill.networks.initialise import initialise
from potstill.ranges import Classes, Depth

WIDTHS = (64, 128, 256, 512, 512)
"""Channels of the five blocks."""

CONVOLUTIONS = {
    8: (1, 1, 1, 1, 1),
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}
"""Depth to convolutions of each block: table 1 of the paper, which counts three linear layers too, and RepDistiller's
vgg8."""

LARGE = 64
"""Height and width in pixels from which there is a pooling before the last block."""


class LargePool(nn.MaxPool2d):
    """Max pooling of the maps (N, C, H, W) of large images, whose sides three poolings have halved; others stay.

    A module of its own, so that the network has no other way through it: it can be traced, and cut.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Half the sides, or all of them."""
        return super().forward(input) if min(input.shape[-2:]) >= LARGE // 8 else input


class VGG(nn.Module):
    """Five blocks of 3x3 convolutions, batch norm and ReLU, 2x2 max pooling in between, global pooling, classifier.

    Maps images (N, 3, H, W) of 8 x 8 or more to logits (N, classes). As in RepDistiller, there is no pooling before the
    last block for small images, so that 32 x 32 ends as 4 x 4; it pools at 64 x 64 only, this network from there on.
    Its taps are RepDistiller's: ``stem`` is the first block, ``stage1`` to ``stage4`` are the others, each before the
    pooling, and ``stageI:pre`` is what the last batch norm of a block returns. The convolutions have biases, as there.
    ``BadInput`` for a depth that is not 8, 11, 13, 16 or 19.

    Source: Simonyan & Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015,
    table 1, https://arxiv.org/abs/1409.1556; layout for small images as in https://github.com/HobbitLong/RepDistiller
    """

    aliases: dict[str, str]

    @checked
    def __init__(self, depth: Depth, classes: Classes) -> None:
        super().__init__()
        if depth not in CONVOLUTIONS:
            depths = ", ".join(str(known) for known in CONVOLUTIONS)
            nearest = min(CONVOLUTIONS, key=lambda known: abs(known - depth))
            raise BadInput(f"a VGG has a depth of {depths}, not {depth}; the nearest is {nearest}")
        counts = CONVOLUTIONS[depth]
        self.block0 = _block(counts[0], 3, WIDTHS[0])
        self.pool0 = nn.MaxPool2d(kernel_size=2)
        self.block1 = _block(counts[1], WIDTHS[0], WIDTHS[1])
        self.pool1 = nn.MaxPool2d(kernel_size=2)
        self.block2 = _block(counts[2], WIDTHS[1], WIDTHS[2])
        self.pool2 = nn.MaxPool2d(kernel_size=2)
        self.block3 = _block(counts[3], WIDTHS[2], WIDTHS[3])
        self.pool3 = LargePool(kernel_size=2)
        self.block4 = _block(counts[4], WIDTHS[3], WIDTHS[4])
        self.pool4 = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(WIDTHS[4], classes)
        self.aliases = {"stem": "block0", "pooled": "fc:in"}
        for stage in (1, 2, 3, 4):
            self.aliases[f"stage{stage}"] = f"block{stage}"
            self.aliases[f"stage{stage}:pre"] = f"block{stage}.{3 * counts[stage] - 1}:in"
        initialise(self)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, 3, H, W) to logits (N, classes)."""
        x = self.pool0(self.block0(images))
        x = self.pool1(self.block1(x))
        x = self.pool2(self.block2(x))
        x = self.pool3(self.block3(x))
        logits: Tensor = self.fc(torch.flatten(self.pool4(self.block4(x)), 1))
        return logits


def _block(convolutions: int, inputs: int, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (inputs, *[outputs] * (convolutions - 1)):
        layers += [nn.Conv2d(channels, outputs, kernel_size=3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*layers)


@checked
def vgg(depth: Depth, classes: Classes) -> VGG:
    """VGG with batch norm and a single linear layer; depths 8, 11, 13, 16, 19.

    Source: Simonyan & Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015,
    https://arxiv.org/abs/1409.1556
    """
    return VGG(depth, classes)
