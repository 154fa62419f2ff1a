"""Taps: addresses of tensors inside a network, and the hooks that record them.

``student`` is what the network of that name returns, its logits; ``student.layer3`` what its submodule returns;
``student.fc:in`` what flows into it. A network may offer short names in a dictionary ``aliases``, from ``stage1`` to
the path behind it. A module that runs several times in one forward pass gives its last call.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from potstill.errors import BadInput, nearest


def find(network: nn.Module, name: str, path: str) -> tuple[str, bool]:
    """The submodule that ``path`` names in ``network``, and whether its input is meant rather than its output.

    Raises:
        BadInput: no such place; the message names the nearest ones of the network, which it calls ``name``.
    """
    aliases: dict[str, str] = getattr(network, "aliases", {})
    module, colon, end = aliases.get(path, path).partition(":")
    modules = [submodule for submodule, _ in network.named_modules() if submodule]
    if module in modules and end == ("in" if colon else ""):
        return module, bool(colon)
    inputs = [f"{submodule}:in" for submodule in modules] if colon else []
    near = nearest(path, [*aliases, *modules, *inputs])
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
        self.recording = False
        self.recorded: dict[str, Tensor] = {}
        self.versions: dict[str, int] | None = None
        self.places = {a: find(network, name, a.removeprefix(f"{name}.")) for a in addresses if a != name}
        for address, (path, at_input) in self.places.items():
            module = network.get_submodule(path)
            if at_input:
                # An in-place activation is about to overwrite its input: record a copy, which carries gradients too.
                copy = getattr(module, "inplace", False)
                module.register_forward_pre_hook(lambda _, args, at=address, copy=copy: self._record(at, args[0], copy))
            else:
                module.register_forward_hook(lambda _, args, output, at=address: self._record(at, output))

    def _record(self, address: str, value: Any, copy: bool = False) -> None:
        if not self.recording:
            return
        if not isinstance(value, Tensor):
            raise BadInput(f"tap '{address}' is a {type(value).__name__}, not a tensor; tap a module inside it")
        self.recorded[address] = value.clone() if copy else value
        if self.versions is not None:
            self.versions[address] = self.recorded[address]._version

    def __call__(self, images: Tensor) -> dict[str, Tensor]:
        """Run the network on ``images`` (N, C, H, W): the tensor of every address, its logits under its name.

        Raises:
            RuntimeError: a tapped module did not run, so that its tensor would be missing.
        """
        self.recorded, self.recording = {}, True
        try:
            logits = self.network(images)
        finally:
            self.recording = False
        for address in self.places:
            if address not in self.recorded:
                raise RuntimeError(f"tap '{address}' did not fire: its module did not run in this forward pass")
        values, self.recorded = {self.name: logits, **self.recorded}, {}
        return values

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
        self.versions = {}
        values = self(images)
        for hook in hooks:
            hook.remove()
        versions, self.versions = self.versions, None
        for address, version in versions.items():
            if values[address]._version != version:
                calls = [path for path, _ in flow]
                safe = [path for path, value in flow if value is values[address] and calls.count(path) == 1]
                hint = f"tap '{self.name}.{safe[0]}:in' instead" if safe else "tap the block around it instead"
                raise BadInput(f"tap '{address}' is overwritten by an in-place operation after it; {hint}")
        return values
