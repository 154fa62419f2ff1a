"""A head that makes logits from a map inside a network."""

from torch import nn

from potstill.losses.connector import BatchNorm


def make_head(channels: int, width: int, classes: int, halvings: int) -> nn.Sequential:
    """From a map of ``channels`` to logits, over features of ``width``.

    Each of the ``halvings`` is two depthwise separable convolutions, of which the first has stride 2; channels double,
    but for the last one, which makes ``width``. Without any, a 1x1 convolution does.
    """
    layers: list[nn.Module] = [nn.Conv2d(channels, width, 1)] if halvings == 0 else []
    for i in range(halvings):
        out = width if i == halvings - 1 else 2 * channels
        layers.append(nn.Sequential(*_separable(channels, channels, stride=2), *_separable(channels, out, stride=1)))
        channels = out
    head = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes))
    head.apply(_initialise)
    return head


def _separable(channels: int, out: int, stride: int) -> list[nn.Module]:
    depthwise = nn.Conv2d(channels, channels, 3, stride, padding=1, groups=channels, bias=False)
    return [depthwise, nn.Conv2d(channels, out, 1, bias=False), BatchNorm(out), nn.ReLU()]


def _initialise(layer: nn.Module) -> None:
    if isinstance(layer, nn.Conv2d):
        nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    elif isinstance(layer, nn.Linear):
        nn.init.trunc_normal_(layer.weight, std=0.02)
    if isinstance(layer, nn.Conv2d | nn.Linear) and layer.bias is not None:
        nn.init.zeros_(layer.bias)
