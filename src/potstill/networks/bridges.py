"""What stands between the two parts of a graft: the transfer of SimKD, or the expansion of NORM."""

import re
from collections import OrderedDict

from torch import Tensor, nn

from potstill.checked import checked
from potstill.errors import BadInput
from potstill.ranges import Count, Width

FACTOR = 2  # of SimKD's transfer, where nothing else is said
BRIDGE = r"(?P<factor>\d{1,5})|(?P<copies>\d{1,5})x(?P<width>\d{1,5})"


class Expansion(nn.Module):
    """What NORM adds to a student behind its last map, and leaves there: x + reduce(expand(x)), without a ReLU.

    Liu, Li, Li and Yao, "NORM: knowledge distillation via N-to-one representation matching", ICLR 2023:
    https://openreview.net/forum?id=CRNwGauQpb6. `potstill.losses.NORM` compares what ``expand`` returns. It is the
    bridge in the middle of ``resnet8x4^8x256^resnet8x4@stage3``, a network cut and put together again, whose tap is
    ``student.bridge.expand``.

    Args:
        channels: of the student's map.
        out_channels: of the teacher's.
        copies: N, how many representations of the teacher's map are made.
    """

    @checked
    def __init__(self, channels: Width, out_channels: Width, copies: Count = 8) -> None:
        super().__init__()
        self.expand = _linear(channels, copies * out_channels)
        self.reduce = _linear(copies * out_channels, channels)

    def forward(self, maps: Tensor) -> Tensor:
        """The map (N, channels, H, W) with what came through the expansion."""
        restored: Tensor = maps + self.reduce(self.expand(maps))
        return restored


@checked
def make_transfer(channels: Width, out_channels: Width, factor: Count = FACTOR) -> nn.Sequential:
    """SimKD's: convolutions of 1x1, 3x3 and 1x1 pixels, each with batch norm and ReLU.

    Args:
        channels: that it takes.
        out_channels: that it gives.
        factor: how many times fewer channels there are inside than it gives.
    """
    middle, layers = max(1, out_channels // factor), OrderedDict[str, nn.Module]()
    widths = ((channels, middle, 1), (middle, middle, 3), (middle, out_channels, 1))
    for i, (inputs, outputs, side) in enumerate(widths, start=1):
        layers[f"conv{i}"] = nn.Conv2d(inputs, outputs, side, padding=side // 2, bias=False)
        layers[f"bn{i}"], layers[f"relu{i}"] = nn.BatchNorm2d(outputs), nn.ReLU()
    return nn.Sequential(layers)


def named_bridge(name: str, channels: int, out_channels: int) -> nn.Module:
    """The bridge of a name: ``2``, a transfer of that factor; ``8x256``, an expansion to 8 copies of 256 channels.

    Raises:
        BadInput: neither of them, or an expansion between different numbers of channels, which it leaves as they are.

    >>> named_bridge("2", 64, 256).conv2
    Conv2d(128, 128, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), bias=False)
    >>> named_bridge("8x256", 64, 64).expand.conv
    Conv2d(64, 2048, kernel_size=(1, 1), stride=(1, 1), bias=False)
    """
    found = re.fullmatch(BRIDGE, name)
    if found is None:
        raise BadInput(
            f"a bridge is a number such as 2 (a transfer, that many times narrower inside) or copies and channels such "
            f"as 8x256 (an expansion), not {name!r}"
        )
    if found["factor"]:
        return make_transfer(channels, out_channels, int(found["factor"]))
    if channels != out_channels:
        raise BadInput(f"bridge {name!r} leaves {channels} channels as they are, where {out_channels} go on")
    return Expansion(channels, int(found["width"]), int(found["copies"]))


def _linear(channels: int, out_channels: int) -> nn.Sequential:
    convolution = nn.Conv2d(channels, out_channels, 1, bias=False)
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out")
    return nn.Sequential(OrderedDict(conv=convolution, bn=nn.BatchNorm2d(out_channels)))
