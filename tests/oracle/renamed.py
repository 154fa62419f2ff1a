"""Learned parts under the names that the recorded state gives them."""

from collections.abc import Mapping

from torch import nn


def renamed(parts: Mapping[str, nn.Module]) -> nn.Module:
    """A module that holds these very parts, each at its dotted name."""
    root = nn.Module()
    for name, part in parts.items():
        *above, last = name.split(".")
        place = root
        for step in above:
            if step not in dict(place.named_children()):
                place.add_module(step, nn.Module())
            place = place.get_submodule(step)
        place.add_module(last, part)
    return root
