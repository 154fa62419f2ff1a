"""``potstill describe``: what a network costs and where it can be tapped."""

from typing import Any

import potstill as ps


def describe(
    network: str,
    /,
    *,
    conv: str | None = None,
    classes: int = 10,
    input: tuple[int, int, int] = (3, 32, 32),
) -> dict[str, Any]:
    """Count a network's parameters and multiply-adds, and list its taps.

    Args:
        network: for example resnet20, wrn-16-2, timm:NAME, torchvision:NAME, file.py:callable, or a run folder.
        conv: cheap convolutions to put in the place of its spatial ones first, for example G8B2 or DConv.
        classes: number of classes.
        input: channels, height and width of an image.
    """
    from potstill.networks.cost import macs, parameters

    built = ps.networks.create(network, classes)
    if conv is not None:
        ps.networks.substitute(built, conv)
    aliases: dict[str, str] = getattr(built, "aliases", {})
    modules = [path for path, _ in built.named_modules() if path]
    return {
        "network": network,
        **({} if conv is None else {"conv": conv}),
        "parameters": parameters(built),
        "macs": macs(built, input),
        "taps": aliases or dict(zip(modules, modules, strict=True)),
    }
