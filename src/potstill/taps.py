"""Taps: the tensors at some addresses inside a network, and the hooks that record them.

``student.layer3`` is what that submodule returns; ``student.fc:in`` what flows into it; ``student.blocks.8:map`` is
either as a map (N, C, h, w), see `potstill.maps`; ``student.fc.weight`` is a parameter. A network may offer short names
in a dictionary ``aliases``, from ``stage1`` to the path behind it. A module that runs several times in one forward pass
gives its last call. Names lead through wrappers (DistributedDataParallel, DataParallel, ``torch.compile``).
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from potstill.address import Address
from potstill.compiler import compile_again
from potstill.errors import BadInput, nearest
from potstill.maps import as_map, from_map
from potstill.network_call import call
from potstill.outputs import logits_of, part_of
from potstill.tap_hooks import Measure, RecordInput, RecordOutput, Use, Uses

AS_MAP = ":map"
WRAPPERS = ("module", "_orig_mod", "_fsdp_wrapped_module")
"""What wrappers call the network inside them."""


class Place(NamedTuple):
    """What an address means inside a network: a submodule's output or its input, perhaps as a map; or a parameter."""

    path: str
    at_input: bool
    as_map: bool
    is_parameter: bool = False


class NoPart(BadInput):
    """A network does not return what is asked for, at least not in this mode."""


def unwrapped(network: nn.Module) -> nn.Module:
    """The network inside DistributedDataParallel, DataParallel, ``torch.compile`` or all of them; or itself."""
    children = dict(network.named_children())
    inside = next((children[name] for name in WRAPPERS if name in children), None)
    return network if inside is None or len(children) > 1 else unwrapped(inside)


def find(network: nn.Module, name: str, path: str) -> Place:
    """The place that ``path`` names in ``network``, unwrapped.

    Raises:
        BadInput: no such place; the message names the nearest ones of the network, which it calls ``name``.
    """
    network = unwrapped(network)
    aliases: dict[str, str] = getattr(network, "aliases", {})
    plain = path.removesuffix(AS_MAP)
    whole = aliases.get(plain, plain)
    module, colon, end = whole.removesuffix(AS_MAP).partition(":")
    modules = [submodule for submodule, _ in network.named_modules() if submodule]
    if module in modules and end == ("in" if colon else ""):
        return Place(module, bool(colon), AS_MAP in path or AS_MAP in whole)
    tensors = [key for key, _ in (*network.named_parameters(), *network.named_buffers())]
    if whole in tensors:
        return Place(whole, at_input=False, as_map=False, is_parameter=True)
    inputs = [f"{submodule}:in" for submodule in modules] if colon else []
    near = nearest(plain, [*aliases, *modules, *inputs, *(tensors if module.rpartition(".")[0] in modules else [])])
    hint = f"nearest: {', '.join(f'{name}.{place}' for place in near or modules[:3])}"
    raise BadInput(f"no tap '{name}.{path}' in this {type(network).__name__}; {hint}")


class Taps:
    """Runs a network and records what flows at some of its addresses.

    Args:
        network: the network, left as it is but for hooks, which `close` removes. Copies and pickles of the network have
            hooks of their own.
        name: its name, and its input, as addresses begin: ``student`` or ``student@strong``.
        addresses: full addresses, which begin with that name.
    """

    def __init__(self, network: nn.Module, name: str, addresses: Iterable[str]) -> None:
        self.network, self.name = network, name
        self.recording = self.through = self.copies = False
        self.size: tuple[int, ...] = ()
        self.recorded: dict[str, Tensor] = {}
        self.versions: dict[str, int] | None = None
        self.asked = {text: Address.parse(text) for text in addresses}
        self.places = {
            text: find(network, name, address.path) for text, address in self.asked.items() if address.path is not None
        }
        self.hooks: list[RemovableHandle] = []
        inside, hooked = unwrapped(network), [text for text, place in self.places.items() if not place.is_parameter]
        if hooked:
            compile_again(network)
        if any(self.places[text].as_map for text in hooked):
            # After whatever resizes the images first: its hooks run before this one.
            self.hooks.append(inside.register_forward_pre_hook(Measure(self), with_kwargs=True))
        for text in hooked:
            module = inside.get_submodule(self.places[text].path)
            if self.places[text].at_input:
                self.hooks.append(module.register_forward_pre_hook(RecordInput(self, text), with_kwargs=True))
            else:
                self.hooks.append(module.register_forward_hook(RecordOutput(self, text)))

    def close(self) -> None:
        """Remove the hooks; the network is as it was."""
        for hook in self.hooks:
            hook.remove()
        self.hooks = []

    def record(self, text: str, value: Any, copy: bool = False) -> Tensor | None:
        """Record ``value`` at an address; returns what takes its place in the network, or None."""
        if not self.recording:
            return None
        tensor = self._tensor(value, text)
        if self.through and self.places[text].as_map:
            # The logits are to be differentiated by the map: the network goes on with what is computed from it.
            self.recorded[text] = self._as_map(text, tensor)
            onward = from_map(self.recorded[text], tensor)
            return onward.clone() if copy else onward
        self.recorded[text] = tensor.clone() if copy else tensor
        if self.versions is not None:
            self.versions[text] = self.recorded[text]._version
        return None

    def _tensor(self, value: Any, text: str) -> Tensor:
        """The tensor that is meant by what a submodule, or the network, returns."""
        part = self.asked[text].part
        return logits_of(value, text) if part is None else part_of(value, part, text.partition("#")[0])

    def _as_map(self, text: str, value: Tensor) -> Tensor:
        try:
            return as_map(value, self.size)
        except BadInput as error:
            raise BadInput(f"tap '{text}': {error}") from error

    def __call__(self, *inputs: Tensor) -> dict[str, Tensor]:
        """Run the network on ``inputs``, images (N, C, H, W) in the main: the tensor of every address.

        Where images require a gradient, taps are what the logits are computed from, ``:map`` ones included.

        Raises:
            BadInput: a tap cannot be made a map, the network returns no such thing or raises anything, or a tapped
                module did not run, so that its tensor would be missing.
        """
        self.through = inputs[0].requires_grad
        return self._as_maps(self._run(inputs))

    def parameters(self) -> dict[str, Tensor]:
        """The parameters and buffers among the addresses, for which the network need not run."""
        inside = unwrapped(self.network)
        named = {text: place.path.rpartition(".") for text, place in self.places.items() if place.is_parameter}
        return {text: getattr(inside.get_submodule(module), name) for text, (module, _, name) in named.items()}

    def _run(self, inputs: Sequence[Tensor]) -> dict[str, Tensor]:
        self.recorded, self.recording = {}, True
        try:
            given = [value.clone() for value in inputs] if self.copies else inputs
            output = call(self.network, self.name, *given)
        finally:
            self.recording = False
        values, self.recorded = self.recorded, {}
        for text, place in self.places.items():
            if text not in values and not place.is_parameter:
                raise BadInput(f"tap '{text}' did not fire: its module did not run in this forward pass")
        for text in self.asked.keys() - self.places.keys():
            try:
                values[text] = self._tensor(output, text)
            except BadInput as error:
                raise NoPart(str(error)) from None
        return {text: values[text] for text in self.asked if text in values}

    def _as_maps(self, values: dict[str, Tensor]) -> dict[str, Tensor]:
        """Their maps in the place of those that are asked for as maps; what is one already stays."""
        maps = {a: self._as_map(a, values[a]) for a, place in self.places.items() if place.as_map}
        return {**values, **maps}

    def check(self, *inputs: Tensor) -> dict[str, Tensor]:
        """Run once on a few example images, refusing taps that a later in-place operation overwrites.

        A network that changes its own input in place gets a copy from then on: others are to see what was given.

        Raises:
            BadInput: a tapped tensor is overwritten; the message names a safe tap.
        """
        uses = Uses(self)
        hooks = [
            module.register_forward_pre_hook(Use(uses, path))
            for path, module in unwrapped(self.network).named_modules()
        ]
        self.versions, self.through = {}, False
        given = [value.clone() for value in inputs]
        try:
            values = self._run(given)
        finally:
            versions, self.versions = self.versions, None
            for hook in hooks:
                hook.remove()
        self.copies = self.copies or any(value._version for value in given)
        for text, version in versions.items():
            if values[text]._version != version:
                safe = uses.safe(text)
                hint = f"tap '{self.name}.{safe}:in' instead" if safe else "tap the block around it instead"
                raise BadInput(f"tap '{text}' is overwritten by an in-place operation after it; {hint}")
        return self._as_maps(values)
