"""Moonshine's cheap convolutions: what may stand in for a k x k convolution, by the names of the original code.

====================  ===========================================================================  ===============
name                  layers                                                                       in the paper
====================  ===========================================================================  ===============
Conv                  k x k                                                                        S
Conv2x2               the four corners of the k x k window: 2 x 2, dilated
ConvB{y}              1x1 down to 1/y of the outputs, k x k, 1x1 up                                B(y)
DConv                 k x k depthwise, 1x1                                                         G(N)
DConvG{x}, DConvA{x}  k x k in groups of x channels, or in x groups; 1x1                           G(N/x), G(x)
DConvB{y}             1x1 down to 1/y, k x k depthwise, 1x1 up                                     BG(y, M)
G{x}B{y}, A{x}B{y}    1x1 down to 1/y, k x k in groups of x channels, or in x groups; 1x1 up       BG(y, M/x), BG(y, x)
DConv3D               k x k depthwise, then a 3-wide filter that slides over the channels; mean
ACDC{k}               k x k depthwise, then k layers of diagonal and cosine matrices; 12 if none given
====================  ===========================================================================  ===============

Inside, every convolution but the last is followed by batch norm and ReLU; not so in ACDC, as in the original. N is the
width of the layer's input, M that of its bottleneck. A block of the paper is two of these one after the other.

Source: Crowley, Gray & Storkey, "Moonshine: Distilling with Cheap Convolutions", NeurIPS 2018,
https://arxiv.org/abs/1711.02613, figure 1; names as in https://github.com/BayesWatch/pytorch-moonshine
"""

import math
import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import Tensor, nn

from potstill.checked import check, checked
from potstill.errors import BadInput, unknown
from potstill.networks.acdc import ACDC
from potstill.ranges import Count, Layers, whole_number

FORMS = (
    *("Conv", "Conv2x2", "ConvB{factor}"),
    *("DConv", "DConvG{size}", "DConvA{groups}", "DConvB{factor}", "DConv3D"),
    *("G{size}B{factor}", "A{groups}B{factor}"),
    *("ACDC", "ACDC{layers}"),
)
"""The grammar: any whole numbers from 1 may stand for those in braces."""

ORIGINAL = (
    *("Conv", "Conv2x2", "DConv", "DConv3D"),
    *(f"{form}{number}" for form in ("ConvB", "DConvB", "DConvG", "DConvA") for number in (2, 4, 8, 16)),
    *(f"{grouping}B2" for grouping in ("G2", "G4", "G8", "G16", "A2", "A4", "A8", "A16")),
    *(f"{grouping}B4" for grouping in ("G2", "G4", "G8", "G16")),
)
"""The 32 specs that the original offers beside ACDC; the nearest of them is named where one cannot be built."""


class OverChannels(nn.Conv3d):
    """A 3-wide filter per output that slides over the input's channels, averaged over where it stands.

    (N, inputs, H, W) -> (N, outputs, H, W), as a 3-d convolution.
    """

    @checked
    def __init__(self, outputs: Count, bias: bool) -> None:
        super().__init__(1, outputs, kernel_size=(3, 1, 1), padding=(1, 0, 0), bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Filter ``x`` (N, inputs, H, W)."""
        return super().forward(x.unsqueeze(1)).mean(dim=2)


@dataclass(frozen=True)
class Cheap:
    """One type of convolution, parsed by ``cheap``: the numbers that its name gives; if none, 0, and 12 layers."""

    spec: str
    form: str
    factor: int = 0
    size: int = 0
    groups: int = 0
    layers: int = 12

    def misfit(self, inputs: int, outputs: int) -> str | None:
        """Why there is no such convolution from ``inputs`` to ``outputs`` channels; None if there is."""
        width, groups = self._split(inputs, outputs)
        if width == 0:
            return f"a bottleneck of 1/{self.factor} of {outputs} channels would have none"
        where = f"the {width} channels of its bottleneck" if self.factor else f"its {width} input channels"
        if groups == 0:
            return f"groups of {self.size} are larger than {where}"
        if width % groups:
            return f"{where} are not divisible into {groups} groups"
        return None

    def nearest(self, *layers: tuple[int, int]) -> str:
        """The original's spec that is most like this one and fits all ``layers`` (inputs, outputs)."""
        fitting = [
            other
            for other in map(cheap, ORIGINAL)
            if other.form == self.form and not any(other.misfit(*layer) for layer in layers)
        ]
        # A depthwise convolution exists for every width.
        return min(fitting, key=self._distance).spec if fitting else "DConv"

    def build(self, convolution: nn.Conv2d) -> nn.Module:
        """What replaces ``convolution``: the same channels, window, stride, padding and dilation; fresh weights.

        The groups of ``convolution``, if it has several, are not kept.

        Maps (N, inputs, H, W) to the shape that ``convolution`` returns. A bias, if there is one, is on the last layer.
        Where x does not divide the width, as in the original, there are floor(width / x) groups, larger than x.

        Raises:
            BadInput: its channels cannot be split this way; the message names the nearest spec that fits.
        """
        inputs, outputs = convolution.in_channels, convolution.out_channels
        problem = self.misfit(inputs, outputs)
        if problem:
            near = self.nearest((inputs, outputs))
            raise BadInput(f"{self.spec} cannot map {inputs} to {outputs} channels: {problem}; nearest is {near}")
        bias = convolution.bias is not None
        if self.form in ("Conv", "Conv2x2"):
            return _spatial(convolution, inputs, outputs, 1, bias, self.form == "Conv2x2")
        if self.form.startswith("ACDC"):
            mix = ACDC(inputs, outputs, self.layers, bias)
            return nn.Sequential(OrderedDict(conv=_spatial(convolution, inputs, inputs, inputs), pointwise=mix))
        return self._bottleneck(convolution) if self.factor else self._separable(convolution)

    def _separable(self, convolution: nn.Conv2d) -> nn.Module:
        inputs, outputs, bias = convolution.in_channels, convolution.out_channels, convolution.bias is not None
        pointwise = OverChannels(outputs, bias) if self.form == "DConv3D" else nn.Conv2d(inputs, outputs, 1, bias=bias)
        _, groups = self._split(inputs, outputs)
        return nn.Sequential(
            OrderedDict(
                conv=_spatial(convolution, inputs, inputs, groups),
                bn=nn.BatchNorm2d(inputs),
                relu=nn.ReLU(),
                pointwise=pointwise,
            )
        )

    def _bottleneck(self, convolution: nn.Conv2d) -> nn.Module:
        inputs, outputs, bias = convolution.in_channels, convolution.out_channels, convolution.bias is not None
        width, groups = self._split(inputs, outputs)
        return nn.Sequential(
            OrderedDict(
                down=nn.Conv2d(inputs, width, 1, bias=False),
                bn1=nn.BatchNorm2d(width),
                relu1=nn.ReLU(),
                conv=_spatial(convolution, width, width, groups),
                bn2=nn.BatchNorm2d(width),
                relu2=nn.ReLU(),
                up=nn.Conv2d(width, outputs, 1, bias=bias),
            )
        )

    def _split(self, inputs: int, outputs: int) -> tuple[int, int]:
        """How wide the k x k convolution is, and into how many groups it splits."""
        width = outputs // self.factor if self.factor else inputs
        if self.size:
            return width, width // self.size
        if self.groups:
            return width, self.groups
        return width, width if self.form.startswith("DConv") else 1

    def _distance(self, other: "Cheap") -> tuple[float, float]:
        """By how many halvings two specs of one form differ, first in their bottlenecks, then in their groups."""
        return _halvings(self.factor, other.factor), _halvings(self.size or self.groups, other.size or other.groups)


@checked
def cheap(spec: str) -> Cheap:
    """Read the name of a convolution type.

    Raises:
        BadInput: no such type; the message names those most like it.

    >>> from torch import nn
    >>> import potstill as ps
    >>> ps.networks.cheap("G8B2").build(nn.Conv2d(16, 32, 3, stride=2, padding=1)).conv
    Conv2d(16, 16, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1), groups=2, bias=False)
    >>> ps.networks.cheap("G16B2").misfit(16, 16)
    'groups of 16 are larger than the 8 channels of its bottleneck'
    """
    for form in FORMS:
        match = re.fullmatch(re.sub(r"{(\w+)}", r"(?P<\1>[1-9][0-9]*)", form), spec)
        if match:
            return Cheap(spec, form, **_numbers(spec, match.groupdict()))
    raise unknown("convolution", spec, (*ORIGINAL, "ACDC"))


def _numbers(spec: str, digits: dict[str, str]) -> dict[str, int]:
    numbers = {name: whole_number(text, f"convolution {spec!r}") for name, text in digits.items()}
    if "layers" in numbers:
        check(numbers["layers"], Layers, f"convolution {spec!r}: layers")
    return numbers


def pads_to_same(convolution: nn.Conv2d) -> bool:
    """Whether it is timm's convolution that pads by the size of the image, as TensorFlow does."""
    kind = type(convolution)
    return kind.__name__ == "Conv2dSame" and kind.__module__.startswith("timm.")


def _halvings(number: int, other: int) -> float:
    return abs(math.log2(number / other)) if number else 0.0


def _spatial(
    like: nn.Conv2d, inputs: int, outputs: int, groups: int, bias: bool = False, corners: bool = False
) -> nn.Conv2d:
    """The k x k convolution of a type, with the geometry of ``like``; only the corners of its window if wanted.

    One that pads to the same size does so too, hence it is of the same class.
    """
    kernel, dilation = like.kernel_size, like.dilation
    if corners:
        dilation = tuple(max((k - 1) * d, 1) for k, d in zip(kernel, dilation, strict=True))
        kernel = tuple(min(k, 2) for k in kernel)
    build: Callable[..., nn.Conv2d] = (
        type(like) if pads_to_same(like) else partial(nn.Conv2d, padding_mode=like.padding_mode)
    )
    return build(inputs, outputs, kernel, like.stride, like.padding, dilation, groups, bias)
