"""One forward pass that is only looked at: what every module of a network takes and returns."""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from potstill.compiler import uncompiled
from potstill.errors import BadInput
from potstill.eval_mode import eval_mode
from potstill.maps import map_shape
from potstill.network_call import call
from potstill.outputs import tensor_in, tensors_in
from potstill.taps import AS_MAP, find, unwrapped


@dataclass(eq=False)
class Seen:
    """A tensor that flowed into a module or out of it, and how often it had been written to by then."""

    value: Any
    version: int = -1

    def __post_init__(self) -> None:
        if isinstance(self.value, Tensor):
            self.version = self.value._version

    @property
    def overwritten(self) -> bool:
        """Whether an in-place operation has changed it since."""
        return isinstance(self.value, Tensor) and self.value._version != self.version


@dataclass(eq=False)
class Call:
    """One call of a module, and the calls inside it."""

    path: str
    module: nn.Module
    input: Seen
    output: Seen = field(default_factory=lambda: Seen(None))
    inside: "list[Call]" = field(default_factory=list)
    tensors: list[Tensor] = field(default_factory=list)  # all that it returned

    @property
    def learned(self) -> bool:
        """Whether the module itself has a weight: a convolution or a linear layer, but no norm."""
        return any(parameter.dim() > 1 for parameter in self.module.parameters(recurse=False))


class DryRun:
    """Runs ``network``, which errors call ``name``, once on ``images`` (N, C, H, W), and remembers all calls.

    In eval mode, without autograd and uncompiled. Afterwards the network is as it was, and so are random numbers.
    """

    def __init__(self, network: nn.Module, name: str, images: Tensor) -> None:
        self.network, self.name = unwrapped(network), name
        self.count = len(images)
        self.size: tuple[int, ...] = tuple(images.shape[2:])  # of the images as the network's first layer gets them
        self.calls: list[Call] = []  # in the order in which they end
        self.sequences: set[tuple[int, int]] = set()  # (C, L) of what is convolved along L
        self.flattened: set[tuple[int, int]] = set()  # (C, h * w) of maps
        self.root = Call("", network, Seen(images))
        self._running: list[Call] = []
        device = next(network.parameters(), images).device
        # A copy, which the network may overwrite, and contiguous, which all networks bear.
        self._run(images.to(device).clone(memory_format=torch.contiguous_format))

    def _run(self, images: Tensor) -> None:
        hooks = []
        for path, module in self.network.named_modules():
            hooks.append(module.register_forward_pre_hook(lambda m, args, path=path: self._enter(path, m, args)))
            hooks.append(module.register_forward_hook(lambda _, args, output: self._leave(output), prepend=True))
        devices = [images.device] if images.device.type == "cuda" else []
        try:
            with (
                eval_mode(self.network),
                torch.no_grad(),
                torch.random.fork_rng(devices),
                uncompiled(),
            ):
                call(self.network, self.name, images)
        finally:
            for hook in hooks:
                hook.remove()

    def _enter(self, path: str, module: nn.Module, args: tuple[Any, ...]) -> None:
        call = Call(path, module, Seen(args[0] if args else None))
        if self._running:
            self._running[-1].inside.append(call)
        else:  # after the network's own hooks, which may have made the images larger
            self.root, self.size = call, tuple(args[0].shape[2:])
        self._running.append(call)

    def _leave(self, output: Any) -> None:
        call = self._running.pop()
        call.output, call.tensors = Seen(tensor_in(output)), list(tensors_in(output))
        self.calls.append(call)
        for value in (call.input.value, *call.tensors):
            if isinstance(value, Tensor) and value.dim() == 3 and isinstance(call.module, nn.Conv1d):
                self.sequences.add((value.shape[1], value.shape[2]))
            if isinstance(value, Tensor) and value.dim() == 4:
                self.flattened.add((value.shape[1], value.shape[2] * value.shape[3]))

    def map_shape(self, value: Any) -> tuple[int, int, int] | None:
        """The shape (C, h, w) of a value as a map for one image; None if it is none, as a single token is.

        Nor is a sequence (N, C, L): what is convolved along L, or a flattened map.
        """
        if not isinstance(value, Tensor) or value.dim() not in (3, 4) or len(value) != self.count:
            return None
        if value.dim() == 3:
            first, second = value.shape[1:]
            if 1 in (first, second) or {(first, second), (second, first)} & self.sequences:
                return None
            if (first, second) in self.flattened and (second, first) not in self.flattened:
                return None
        try:
            return map_shape(value.shape, self.size)[1:]
        except BadInput:  # tokens that are no grid
            return None

    def seen_at(self, path: str) -> Seen:
        """What a tap at ``path`` records, an alias or a place of the network; of None if nothing flows there.

        Raises:
            BadInput: no such place.
        """
        place = find(self.network, self.name, path)
        last = next((call for call in reversed(self.calls) if call.path == place.path), None)
        if last is None:
            return Seen(None)
        if place.at_input:  # a tap copies what an in-place module is about to overwrite
            return Seen(last.input.value) if getattr(last.module, "inplace", False) else last.input
        return last.output

    def as_map(self, path: str, value: Tensor) -> str:
        """The address inside the network at which ``value``, recorded at ``path``, is a map: ``path:map`` or itself."""
        is_map = tuple(value.shape) == map_shape(value.shape, self.size)
        return path if is_map or path.endswith(AS_MAP) else f"{path}{AS_MAP}"
