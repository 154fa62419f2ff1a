"""Wide residual networks: three groups of pre-activation blocks, depth 6n + 4."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from potstill.checked import checked
from potstill.errors import BadInput
from potstill.networks.initialise import initialise
from potstill.ranges import Classes, Depth, Wider

Block = Callable[[int, int, int], nn.Module]  # (channels in, channels out, stride) -> module


class PreActivationBlock(nn.Module):
    """conv(relu(bn(conv(a)))) + shortcut, with a = relu(bn(x)).

    The 1x1 shortcut, there only where the width changes, reads the activated a; otherwise x itself is added.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.relu1 = nn.ReLU()
        self.conv1 = nn.Conv2d(inputs, outputs, kernel_size=3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.relu2 = nn.ReLU()
        self.conv2 = nn.Conv2d(outputs, outputs, kernel_size=3, padding=1, bias=False)
        self.shortcut: nn.Conv2d | None = None
        if inputs != outputs:
            self.shortcut = nn.Conv2d(inputs, outputs, kernel_size=1, stride=stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H/stride, W/stride)."""
        activated = self.relu1(self.bn1(x))
        out: Tensor = self.conv2(self.relu2(self.bn2(self.conv1(activated))))
        return out + (x if self.shortcut is None else self.shortcut(activated))


class WideResNet(nn.Module):
    """3x3 stem of 16 channels, groups of 16k, 32k, 64k channels (stride 1, 2, 2), relu(bn), pooling, classifier.

    Maps images (N, 3, H, W) of any size to logits (N, classes). ``stageI`` is a group's raw output; ``stageI:pre``
    is what the batch norm after it returns, as RepDistiller takes it. With fewer than 3 ``groups`` it ends early: the
    light net of Rocket Launching that has its booster's bottom. ``block`` makes each block of a group. ``BadInput`` for
    a depth that is not 6n + 4 or a width below 1.

    Source: Zagoruyko & Komodakis, "Wide Residual Networks", BMVC 2016, https://arxiv.org/abs/1605.07146; block as in
    https://github.com/BayesWatch/pytorch-moonshine
    """

    aliases: dict[str, str]

    @checked
    def __init__(
        self,
        depth: Depth,
        width: Wider,
        classes: Classes,
        groups: Literal[1, 2, 3] = 3,
        block: Block = PreActivationBlock,
    ) -> None:
        super().__init__()
        blocks = _blocks_per_group(depth)
        if width < 1:
            raise BadInput(f"a wide ResNet has a width of 1 or more, not {width}")
        self.conv1 = nn.Conv2d(3, 16, kernel_size=3, padding=1, bias=False)
        self.aliases = {"stem": "conv1"}
        self.groups = [f"block{i}" for i in range(1, groups + 1)]
        channels = 16
        for i, name in enumerate(self.groups, start=1):
            inputs, channels = channels, int(8 * 2**i * width)
            self.add_module(name, _group(block, blocks, inputs, channels, stride=1 if i == 1 else 2))
            after = "bn1" if i == groups else f"block{i + 1}.0.bn1"
            self.aliases |= {f"stage{i}": name, f"stage{i}:pre": after}
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, classes)
        self.aliases["pooled"] = "fc:in"
        initialise(self)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, 3, H, W) to logits (N, classes)."""
        x = self.conv1(images)
        for name in self.groups:
            x = self.get_submodule(name)(x)
        x = self.pool(self.relu(self.bn1(x)))
        logits: Tensor = self.fc(torch.flatten(x, 1))
        return logits


def _blocks_per_group(depth: Depth) -> int:
    if depth < 10 or (depth - 4) % 6:
        nearest = 6 * max(1, round((depth - 4) / 6)) + 4
        raise BadInput(f"a wide ResNet has a depth of 6n + 4, not {depth}; the nearest is {nearest}")
    return (depth - 4) // 6


def _group(block: Block, blocks: int, inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(block(inputs, outputs, stride), *(block(outputs, outputs, 1) for _ in range(blocks - 1)))


@checked
def wide_resnet(depth: Depth, width: Wider, classes: Classes) -> WideResNet:
    """Wide ResNet with pre-activation blocks, widths 16, 32, 64 times the given factor.

    Source: Zagoruyko & Komodakis, "Wide Residual Networks", BMVC 2016, https://arxiv.org/abs/1605.07146
    """
    return WideResNet(depth, width, classes)


@checked
def wide_resnet_bottom(depth: Depth, width: Wider, groups: Literal[1, 2], classes: Classes) -> WideResNet:
    """The stem and the first groups of a wide ResNet, with a classifier of its own: a light net for its booster.

    Source: Zhou et al., "Rocket Launching", AAAI 2018, https://arxiv.org/abs/1708.04106; as in rocket_bottom.py of
    https://github.com/zhougr1993/Rocket-Launching, where two groups of WRN-40-1 are called depth 16
    """
    return WideResNet(depth, width, classes, groups)
