"""Where a term taps: the part of a term string after ``on``."""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from potstill.errors import BadInput
from potstill.recipes.matching import Matcher, Pair

if TYPE_CHECKING:
    from torch import nn

Address = str | tuple[str, ...]


def addresses_at(
    usual: tuple[Address, ...],
    taps: str | None,
    networks: "Mapping[str, nn.Module]",
    string: str,
    matcher: Matcher | None = None,
) -> list[tuple[Address, ...]]:
    """The addresses of each term of a loss: its usual ones, with those inside the networks moved to ``taps``.

    A loss that takes several maps of a network at once makes one term of all the places, any other one term of each.
    Logits stay logits, unless the loss has nothing else to move. A loss whose usual places are stages wants maps: with
    a ``matcher``, tokens at its places become maps. Without one, stages are those that both networks name.

    Raises:
        BadInput: stages are asked for, and the networks have none that go together; the message quotes ``string``.
    """
    moved = _moved_to(usual, taps, networks, string, matcher)
    if matcher is None or not any(".stage" in address for address in flat(usual)):
        return moved
    return [tuple(_with_maps(address, matcher) for address in addresses) for addresses in moved]


def _moved_to(
    usual: tuple[Address, ...],
    taps: str | None,
    networks: "Mapping[str, nn.Module]",
    string: str,
    matcher: Matcher | None,
) -> list[tuple[Address, ...]]:
    stages = [address.partition(".stages")[2] for address in flat(usual) if ".stages" in address]
    if taps is None and not stages:
        return [usual]
    pairs: list[Pair] = []
    for place in re.split(r"[,\s]+", (taps or "stages").strip()):
        student, _, teacher = place.partition("=")
        # Some losses want stages before their last activation: "stages:pre".
        wanted = "".join(stages[:1])
        if place != "stages":
            pairs.append((student, teacher or student))
        else:
            pairs += matcher.stages(wanted, string) if matcher else _named_alike(networks, wanted, string)
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


def _with_maps(address: Address, matcher: Matcher) -> Address:
    if isinstance(address, tuple):
        return tuple(f"{_with_maps(part, matcher)}" for part in address)
    owner, dot, path = address.partition(".")
    return f"{owner}.{matcher.as_map(owner, path)}" if dot else address


def _named_alike(networks: "Mapping[str, nn.Module]", suffix: str, string: str) -> list[Pair]:
    """The stages that both networks name, in order."""
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
