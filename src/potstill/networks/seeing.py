"""What a network sees where that is not what the data gives, and saying so."""

from typing import TYPE_CHECKING

from potstill.network_input import Input
from potstill.networks.input import adapt_input
from potstill.say import say

if TYPE_CHECKING:
    from torch import nn

    from potstill.data import Data


def see(network: "nn.Module", data: "Data", wanted: Input, name: str) -> None:
    """Have a network see the images that it wants, and say so if the data's are others."""
    _, height, width = data.shape
    changed = adapt_input(network, Input(data.statistics, (height, width)), wanted)
    if said := describe_input(changed):
        say(f"{name} sees {said}")


def describe_input(images: Input) -> str:
    """Images in words: ``224x224 images, normalised by imagenet``; empty if nothing is known of them."""
    from potstill.data.normalize import STATISTICS

    words = []
    if images.size is not None:
        words.append("x".join(map(str, images.size)) + " images")
    if images.statistics is not None:
        names = [name for name, known in STATISTICS.items() if known == images.statistics]
        mean, std = (" ".join(f"{value:g}" for value in values) for values in images.statistics)
        by = names[0] if names else f"mean {mean}, deviation {std}"
        words.append(f"normalised by {by}" if words else f"images normalised by {by}")
    return ", ".join(words)
