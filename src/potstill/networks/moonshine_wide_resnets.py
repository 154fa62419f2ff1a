"""What else Moonshine's wide ResNets are made of: its other two blocks, and stages in parts."""

from torch import Tensor, nn

from potstill.checked import checked
from potstill.networks.resnet_cifar import BasicBlock, projection
from potstill.networks.splitting import split_stages
from potstill.networks.wide_resnet import WideResNet
from potstill.ranges import Classes, Depth, Index, Wider


class OneConvolutionBlock(nn.Module):
    """conv(a) + shortcut, with a = relu(bn(x)): a pre-activation block without its second half.

    The 1x1 shortcut, there only where the width changes, reads the activated a; otherwise x itself is added.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.relu1 = nn.ReLU()
        self.conv1 = nn.Conv2d(inputs, outputs, kernel_size=3, stride=stride, padding=1, bias=False)
        self.shortcut: nn.Conv2d | None = None
        if inputs != outputs:
            self.shortcut = nn.Conv2d(inputs, outputs, kernel_size=1, stride=stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H/stride, W/stride)."""
        activated = self.relu1(self.bn1(x))
        out: Tensor = self.conv1(activated)
        return out + (x if self.shortcut is None else self.shortcut(activated))


def _post_activation(inputs: int, outputs: int, stride: int) -> nn.Module:
    return BasicBlock(inputs, outputs, stride, projection)


@checked
def wide_resnet_old(depth: Depth, width: Wider, classes: Classes) -> WideResNet:
    """Wide ResNet of post-activation blocks, with projection shortcuts: "Old" in Moonshine's code.

    Source: Crowley et al., "Moonshine: Distilling with Cheap Convolutions", NeurIPS 2018,
    https://arxiv.org/abs/1711.02613; block of He et al., https://arxiv.org/abs/1512.03385
    """
    network = WideResNet(depth, width, classes, block=_post_activation)
    for stage, path in enumerate(network.groups, start=1):
        last = len(list(network.get_submodule(path).children())) - 1
        network.aliases[f"stage{stage}:pre"] = f"{path}.{last}.relu2:in"
    return network


@checked
def wide_resnet_bottle(depth: Depth, width: Wider, classes: Classes) -> WideResNet:
    """Wide ResNet with one convolution a block in place of two: "Bottle" in Moonshine's code.

    Source: Crowley et al., "Moonshine: Distilling with Cheap Convolutions", NeurIPS 2018,
    https://arxiv.org/abs/1711.02613
    """
    return WideResNet(depth, width, classes, block=OneConvolutionBlock)


@checked
def wide_resnet_split(depth: Depth, width: Wider, parts: Index, classes: Classes) -> WideResNet:
    """Wide ResNet whose groups are stages in equal parts each: same weights, more maps for attention transfer.

    Source: Crowley et al., "Moonshine: Distilling with Cheap Convolutions", NeurIPS 2018,
    https://arxiv.org/abs/1711.02613
    """
    network = WideResNet(depth, width, classes)
    split_stages(network, parts)
    return network
