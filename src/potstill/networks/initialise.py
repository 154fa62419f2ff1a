"""How a built-in network's weights start."""

from torch import nn


def initialise(network: nn.Module) -> None:
    """Draw every convolution from Kaiming's normal distribution, fan-out mode, gain of a ReLU.

    Batch norms start at weight 1 and bias 0 and classifiers at torch's own default, which need no help here.

    Source: He et al., "Delving Deep into Rectifiers", ICCV 2015, https://arxiv.org/abs/1502.01852
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
