"""Taps: addresses of tensors inside a network, and the hooks that record them.

``student`` is what the network of that name returns, its logits; ``student.layer3`` what its submodule returns;
``student.fc:in`` what flows into it; ``student.blocks.8:map`` is either as a map (N, C, h, w), see `potstill.maps`. A
network may offer short names in a dictionary ``aliases``, from ``stage1`` to the path behind it. A module that runs
several times in one forward pass gives its last call.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from potstill.errors import BadInput, nearest
from potstill.maps import as_map, from_map

AS_MAP = ":map"


class Place(NamedTuple):
    """What an address means inside a network: a submodule's output or its input, perhaps as a map."""

    path: str
    at_input: bool
    as_map: bool


def find(network: nn.Module, name: str, path: str) -> Place:
    """The place that ``path`` names in ``network``.

    Raises:
        BadInput: no such place; the message names the nearest ones of the network, which it calls ``name``.
    """
    aliases: dict[str, str] = getattr(network, "aliases", {})
    plain = path.removesuffix(AS_MAP)
    whole = aliases.get(plain, plain)
    module, colon, end = whole.removesuffix(AS_MAP).partition(":")
    modules = [submodule for submodule, _ in network.named_modules() if submodule]
    if module in modules and end == ("in" if colon else ""):
        return Place(module, bool(colon), AS_MAP in path or AS_MAP in whole)
    inputs = [f"{submodule}:in" for submodule in modules] if colon else []
    near = nearest(plain, [*aliases, *modules, *inputs])
    hint = f"nearest: {', '.join(f'{name}.{place}' for place in near or modules[:3])}"
    raise BadInput(f"no tap '{name}.{path}' in this {type(network).__name__}; {hint}")


class Taps:
    """Runs a network and records what flows at some of its addresses.

    Args:
        network: the network, left as it is but for hooks.
        name: its name, the first part of every address.
        addresses: full addresses (``student.layer3``); ``name`` alone needs no hook.
    """

    def __init__(self, network: nn.Module, name: str, addresses: Iterable[str]) -> None:
        # Otherwise dynamo may reuse code compiled before the hooks were there, and taps would never fire.
        torch._dynamo.config.skip_nnmodule_hook_guards = False
        self.network, self.name = network, name
        self.recording = self.through = False
        self.size: tuple[int, ...] = ()
        self.recorded: dict[str, Tensor] = {}
        self.versions: dict[str, int] | None = None
        self.places = {a: find(network, name, a.removeprefix(f"{name}.")) for a in addresses if a != name}
        if any(place.as_map for place in self.places.values()):
            # After whatever resizes the images first: its hooks run before this one.
            network.register_forward_pre_hook(lambda _, args: self._measure(args[0]))
        for address, place in self.places.items():
            module = network.get_submodule(place.path)
            if place.at_input:
                # An in-place activation is about to overwrite its input: record a copy, which carries gradients too.
                copy = getattr(module, "inplace", False)
                module.register_forward_pre_hook(
                    lambda _, args, at=address, copy=copy: _first(self._record(at, args[0], copy), args)
                )
            else:
                module.register_forward_hook(lambda _, args, output, at=address: self._record(at, output))

    def _measure(self, images: Tensor) -> None:
        self.size = tuple(images.shape[2:])

    def _record(self, address: str, value: Any, copy: bool = False) -> Tensor | None:
        """Record ``value``; returns what takes its place in the network, or None."""
        if not self.recording:
            return None
        if not isinstance(value, Tensor):
            raise BadInput(f"tap '{address}' is a {type(value).__name__}, not a tensor; tap a module inside it")
        if self.through and self.places[address].as_map:
            # The logits are to be differentiated by the map: the network goes on with what is computed from it.
            self.recorded[address] = self._as_map(address, value)
            onward = from_map(self.recorded[address], value)
            return onward.clone() if copy else onward
        self.recorded[address] = value.clone() if copy else value
        if self.versions is not None:
            self.versions[address] = self.recorded[address]._version
        return None

    def _as_map(self, address: str, value: Tensor) -> Tensor:
        try:
            return as_map(value, self.size)
        except BadInput as error:
            raise BadInput(f"tap '{address}': {error}") from error

    def __call__(self, images: Tensor) -> dict[str, Tensor]:
        """Run the network on ``images`` (N, C, H, W): the tensor of every address, its logits under its name.

        Where ``images`` require a gradient, taps are what the logits are computed from, ``:map`` ones included.

        Raises:
            BadInput: a tap cannot be made a map, or what the network returns is no tensor.
            RuntimeError: a tapped module did not run, so that its tensor would be missing.
        """
        self.through = images.requires_grad
        return self._as_maps(self._run(images))

    def _run(self, images: Tensor) -> dict[str, Tensor]:
        self.recorded, self.recording = {}, True
        try:
            logits = self.network(images)
        finally:
            self.recording = False
        if not isinstance(logits, Tensor):
            raise BadInput(f"{self.name} returns a {type(logits).__name__}, not logits (N, K)")
        for address in self.places:
            if address not in self.recorded:
                raise RuntimeError(f"tap '{address}' did not fire: its module did not run in this forward pass")
        values, self.recorded = {self.name: logits, **self.recorded}, {}
        return values

    def _as_maps(self, values: dict[str, Tensor]) -> dict[str, Tensor]:
        """Their maps in the place of those that are asked for as maps; what is one already stays."""
        maps = {a: self._as_map(a, values[a]) for a, place in self.places.items() if place.as_map}
        return {**values, **maps}

    def check(self, images: Tensor) -> dict[str, Tensor]:
        """Run once on example images, refusing taps that a later in-place operation overwrites.

        Raises:
            BadInput: a tapped tensor is overwritten; the message names a safe tap.
        """
        flow: list[tuple[str, Any]] = []  # every module's first input, in the order of the calls
        hooks = [
            module.register_forward_pre_hook(lambda _, args, path=path: flow.append((path, args[0] if args else None)))
            for path, module in self.network.named_modules()
        ]
        self.versions, self.through = {}, False
        values = self._run(images)
        for hook in hooks:
            hook.remove()
        versions, self.versions = self.versions, None
        for address, version in versions.items():
            if values[address]._version != version:
                calls = [path for path, _ in flow]
                safe = [path for path, value in flow if value is values[address] and calls.count(path) == 1]
                hint = f"tap '{self.name}.{safe[0]}:in' instead" if safe else "tap the block around it instead"
                raise BadInput(f"tap '{address}' is overwritten by an in-place operation after it; {hint}")
        return self._as_maps(values)


def _first(value: Tensor | None, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """A module's inputs with the first replaced; None if nothing replaces it."""
    return None if value is None else (value, *args[1:])
