"""Where a term taps: the part of a term string after ``on``."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from potstill.address import Address, owner
from potstill.errors import BadInput
from potstill.term_strings.matching import Matcher

if TYPE_CHECKING:
    from torch import nn

Addresses = str | tuple[str, ...]
Pair = tuple[str | None, str | None]  # an address of the student and one of the teacher; None: as the loss has it
ROLES = ("student", "teacher")


class Places:
    """The places of some networks.

    Args:
        networks: ``student``, ``teacher``, and others.
        names: what the distiller calls the two; the first part may be the network, the rest a path inside it.
        matcher: finds stages by their maps, and tokens that are to become maps. Without one, stages are those that both
            networks name.
    """

    def __init__(
        self, networks: "Mapping[str, nn.Module]", names: Mapping[str, str], matcher: Matcher | None = None
    ) -> None:
        self.networks, self.names, self.matcher = networks, names, matcher
        own = {name: name for name in networks}
        self.known = own | {called: role for role, called in names.items()} | {role: role for role in ROLES}

    def addresses(self, usual: tuple[Addresses, ...], taps: str | None, string: str) -> list[tuple[Addresses, ...]]:
        """The addresses of each term of a loss: its usual ones, with those inside the networks moved to ``taps``.

        A loss that takes several maps of a network at once makes one term of all the places, and nothing else of it
        moves; any other makes one term of each. Logits stay logits, unless the loss has nothing else to move. A loss
        whose usual places are stages wants maps: with a matcher, tokens at its places become maps.

        Raises:
            BadInput: stages are asked for, and the networks have none that go together, or a place lacks its partner;
                the message quotes ``string``.
        """
        found = self._moved_to(usual, taps, string)
        if self.matcher is not None and any(".stage" in address for address in flat(usual)):
            found = [tuple(_each(self._as_map, address) for address in addresses) for addresses in found]
        return [tuple(_each(self._renamed, address) for address in addresses) for addresses in found]

    def _moved_to(self, usual: tuple[Addresses, ...], taps: str | None, string: str) -> list[tuple[Addresses, ...]]:
        stages = [address.partition(".stages")[2] for address in flat(usual) if ".stages" in address]
        if taps is None and not stages:
            return [usual]
        pairs: list[Pair] = []
        for place in re.split(r"[,\s]+", (taps or "stages").strip()):
            # Some losses want stages before their last activation: "stages:pre".
            pairs += self._stages("".join(stages[:1]), string) if place == "stages" else [self._pair(place)]
        several = any(isinstance(address, tuple) for address in usual)
        move_logits = not any("." in address for address in flat(usual))
        return [
            tuple(_moved(a, group, move_logits, string) if isinstance(a, tuple) or not several else a for a in usual)
            for group in ([pairs] if several else [[pair] for pair in pairs])
        ]

    def _stages(self, suffix: str, string: str) -> list[Pair]:
        found = self.matcher.stages(suffix, string) if self.matcher else _named_alike(self.networks, suffix, string)
        return [(f"student.{student}", f"teacher.{teacher}") for student, teacher in found]

    def _pair(self, place: str) -> Pair:
        """``layer3=blocks.8``, ``layer3`` for both, ``student@strong`` for that network alone."""
        left, sign, right = place.partition("=")
        student, teacher = (self._address(text, role) for text, role in zip((left, right or left), ROLES, strict=True))
        if not (sign and right) and student == teacher:  # a whole address
            return (None, teacher) if owner(teacher).startswith("teacher") else (student, None)
        return student, teacher

    def _address(self, text: str, role: str) -> str:
        """A place of the network in that role; or an address as it is, if it begins with the name of a network."""
        name = re.split("[@#.]", text, maxsplit=1)[0]
        if name in self.known:
            return self.known[name] + text.removeprefix(name)
        return f"{role}{text}" if text[:1] in ("@", "#") else f"{role}.{text}"

    def _as_map(self, text: str) -> str:
        address = Address.parse(text)
        if self.matcher is None or address.path is None or address.network not in self.networks:
            return text
        return str(replace(address, path=self.matcher.as_map(address.network, address.path)))

    def _renamed(self, text: str) -> str:
        """The address as the distiller has it: ``light.stage1`` for ``student.stage1``."""
        address = Address.parse(text)
        network, _, inside = self.names.get(address.network, address.network).partition(".")
        path = ".".join(part for part in (inside, address.path) if part)
        return str(replace(address, network=network, path=path or None))


def flat(addresses: tuple[Addresses, ...]) -> list[str]:
    """Addresses without the tuples around some of them."""
    return [part for a in addresses for part in (a if isinstance(a, tuple) else (a,))]


def _each(change: Callable[[str], str], address: Addresses) -> Addresses:
    """An address changed, or each of several."""
    return tuple(change(part) for part in address) if isinstance(address, tuple) else change(address)


def _moved(address: Addresses, pairs: Sequence[Pair], move_logits: bool, string: str) -> Addresses:
    first = flat((address,))[0]
    role = owner(first)
    if role not in ROLES:
        return address
    places = [pair[ROLES.index(role)] for pair in pairs]
    moved = [place for place in places if place is not None]
    if len(moved) < len(places):  # whole addresses of the other network
        if moved or ".stages" in first:
            raise BadInput(f"term {string!r}: no place in the {role} for that of the other; pair them: 'on layer3=...'")
        return address
    if isinstance(address, tuple):
        return (*moved, *(part for part in address if "." not in part))
    return moved[0] if "." in address or move_logits else address


def _named_alike(networks: "Mapping[str, nn.Module]", suffix: str, string: str) -> list[tuple[str, str]]:
    """The stages that both networks name, in order."""
    found = {}
    for name in ROLES:
        aliases: Mapping[str, str] = getattr(networks.get(name), "aliases", {})
        found[name] = [alias for alias in aliases if re.fullmatch(rf"stage\d+{suffix}", alias)]
        if not found[name]:
            raise BadInput(f"term {string!r}: {name} has no stages to tap; name layers: 'on layer3=blocks.8'")
    if len(found["student"]) != len(found["teacher"]):
        counts = " and ".join(f"{name} {len(stages)}" for name, stages in found.items())
        raise BadInput(f"term {string!r}: different numbers of stages ({counts}); pair them: 'on stage1=stage2, ...'")
    return list(zip(found["student"], found["teacher"], strict=True))
