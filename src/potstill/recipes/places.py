"""Where a term taps: the part of a term string after ``on``."""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from potstill.errors import BadInput

if TYPE_CHECKING:
    from torch import nn

Address = str | tuple[str, ...]
Pair = tuple[str, str]  # a tap in the student, and one in the teacher


def addresses_at(
    usual: tuple[Address, ...], taps: str | None, networks: "Mapping[str, nn.Module]", string: str
) -> list[tuple[Address, ...]]:
    """The addresses of each term of a loss: its usual ones, with those inside the networks moved to ``taps``.

    A loss that takes several maps of a network at once makes one term of all the places, any other one term of each.
    Logits stay logits, unless the loss has nothing else to move.

    Raises:
        BadInput: stages are asked for, and the networks have none or not as many; the message quotes ``string``.
    """
    stages = [address.partition(".stages")[2] for address in flat(usual) if ".stages" in address]
    if taps is None and not stages:
        return [usual]
    pairs: list[Pair] = []
    for place in re.split(r"[,\s]+", (taps or "stages").strip()):
        student, _, teacher = place.partition("=")
        # Some losses want stages before their last activation: "stages:pre".
        wanted = "".join(stages[:1])
        pairs += _stages(networks, wanted, string) if place == "stages" else [(student, teacher or student)]
    several = any(isinstance(address, tuple) for address in usual)
    move_logits = not any("." in address for address in flat(usual))
    return [
        tuple(_moved(address, group, move_logits) for address in usual)
        for group in ([pairs] if several else [[pair] for pair in pairs])
    ]


def flat(addresses: tuple[Address, ...]) -> list[str]:
    """Addresses without the tuples around some of them."""
    return [part for a in addresses for part in (a if isinstance(a, tuple) else (a,))]


def renamed(address: Address, names: Mapping[str, str]) -> Address:
    """The address with its network's name replaced: ``light.stage1`` for ``student.stage1``."""
    if isinstance(address, tuple):
        return tuple(f"{renamed(part, names)}" for part in address)
    owner, dot, path = address.partition(".")
    return f"{names.get(owner, owner)}{dot}{path}"


def _moved(address: Address, pairs: Sequence[Pair], move_logits: bool) -> Address:
    owner = flat((address,))[0].partition(".")[0]
    if owner not in ("student", "teacher"):
        return address
    places = [f"{owner}.{pair[owner == 'teacher']}" for pair in pairs]
    if isinstance(address, tuple):
        return (*places, *(part for part in address if "." not in part))
    return places[0] if "." in address or move_logits else address


def _stages(networks: "Mapping[str, nn.Module]", suffix: str, string: str) -> list[Pair]:
    found = {}
    for name, network in networks.items():
        aliases: Mapping[str, str] = getattr(network, "aliases", {})
        found[name] = [alias for alias in aliases if re.fullmatch(rf"stage\d+{suffix}", alias)]
        if not found[name]:
            raise BadInput(f"term {string!r}: {name} has no stages to tap; name layers: 'on layer3=blocks.8'")
    if len(found["student"]) != len(found["teacher"]):
        counts = " and ".join(f"{name} {len(stages)}" for name, stages in found.items())
        raise BadInput(f"term {string!r}: different numbers of stages ({counts}); pair them: 'on stage1=stage2, ...'")
    return list(zip(found["student"], found["teacher"], strict=True))
