"""Grafting: the lower part of one network, and on it the upper part of another."""

import torch
from torch import Tensor, fx, nn

from potstill.checked import checked
from potstill.errors import BadInput
from potstill.eval_mode import eval_mode
from potstill.guard import foreign
from potstill.networks.bridges import make_transfer, named_bridge
from potstill.taps import find

SIDE = 64  # of the image that tells how many channels there are


class Grafted(nn.Module):
    """Maps images (N, C, H, W) to logits (N, K): through ``stock``, ``bridge`` and ``scion``, whose weights it shares.

    It is a plain network, to be trained, saved and exported. Its aliases are those of the stock as far as they go, and
    ``pooled``, if the scion has it.
    """

    def __init__(self, stock: nn.Module, bridge: nn.Module, scion: nn.Module, aliases: dict[str, str]) -> None:
        super().__init__()
        self.stock, self.bridge, self.scion = stock, bridge, scion
        self.aliases = aliases

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, C, H, W) to logits (N, K)."""
        logits: Tensor = self.scion(self.bridge(self.stock(images)))
        return logits


@checked
def graft(stock: nn.Module, scion: nn.Module, at: str, bridge: nn.Module | str | None = None) -> Grafted:
    """The lower part of ``stock`` up to a place, and on it what ``scion`` computes from there.

    A student that goes on with its teacher's classifier (Chen et al., "Knowledge distillation with the reused teacher
    classifier", CVPR 2022: https://arxiv.org/abs/2203.14001), a teacher that judges its student's maps, a second branch
    on one trunk. Both networks stay as they are; the new one has their very modules, frozen ones included.

    Args:
        stock: whose lower part.
        scion: whose upper part.
        at: a module in both, by path or alias: ``stage3``; or ``stage2=layer3``, the stock's first. ``layer3.relu:in``
            is what flows into it, as of ``stage3:pre``.
        bridge: between the two: a module, or its name. ``2`` is the transfer of the paper above, convolutions of 1x1,
            3x3 and 1x1 pixels with batch norm and ReLU, that many times narrower inside than the scion's place;
            ``8x256`` NORM's expansion to 8 copies of 256 channels and back, see `potstill.losses.NORM`. By default, of
            equal channels none, else ``2``. New weights are drawn from torch's random numbers.

    Raises:
        BadInput: no such place or bridge, or networks that cannot be cut there: what is above it needs more than it
            gives.

    >>> import torch
    >>> import potstill as ps
    >>> student, teacher = ps.networks.create("resnet8"), ps.freeze(ps.networks.create("resnet8x4"))
    >>> network = ps.networks.graft(student, teacher, "stage3")
    >>> network(torch.randn(2, 3, 32, 32)).shape, network.scion.fc is teacher.fc
    (torch.Size([2, 10]), True)
    """
    for network, place in zip((stock, scion), places(at), strict=True):
        find(network, "network", place)
    with foreign(f"cutting {type(stock).__name__} and {type(scion).__name__} at {at!r}"):
        return grafted(stock, scion, at, bridge)


def grafted(stock: nn.Module, scion: nn.Module, at: str, bridge: nn.Module | str | None = None) -> Grafted:
    """The same, unchecked and of torch alone: what a file of plain weights is loaded with."""
    below, above = places(at)
    lower, upper = lower_part(stock, below), upper_part(scion, above)
    if not isinstance(bridge, nn.Module):
        bridge = _between(lower, lower_part(scion, above), bridge)
    return Grafted(lower, bridge, upper, _aliases(stock, lower, scion, upper))


def places(at: str) -> tuple[str, str]:
    """Where the two networks are cut.

    >>> places("stage2=layer3"), places("stage3")
    (('stage2', 'layer3'), ('stage3', 'stage3'))
    """
    below, _, above = at.partition("=")
    return below, above or below


def lower_part(network: nn.Module, place: str) -> nn.Module:
    """What a network computes from images up to the output of a module."""
    graph, node = _traced(network, place)
    (output,) = graph.find_nodes(op="output")
    output.args = (node,)
    return _without_the_rest(network, graph, "LowerPart")


def upper_part(network: nn.Module, place: str) -> nn.Module:
    """What a network computes from the output of a module on.

    Raises:
        BadInput: that is not all that it needs.
    """
    graph, node = _traced(network, place)
    with graph.inserting_before(node):
        given = graph.placeholder("given")
    node.replace_all_uses_with(given)
    part = _without_the_rest(network, graph, "UpperPart")
    images, *_ = part.graph.find_nodes(op="placeholder")
    if images.users:
        raise BadInput(f"this {type(network).__name__} cannot be cut at {place!r}: what is above needs more of it")
    part.graph.erase_node(images)
    part.recompile()
    return part


def _without_the_rest(network: nn.Module, graph: fx.Graph, name: str) -> fx.GraphModule:
    """A module that has of the network what its output needs."""
    part = fx.GraphModule(network, graph, name)
    part.graph.eliminate_dead_code()
    part.delete_all_unused_submodules()
    part.recompile()
    return part


class _Tracer(fx.Tracer):
    """Looks into the modules around a place, and into no others."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path

    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        return not self.path.startswith(f"{name}.")


def _traced(network: nn.Module, place: str) -> tuple[fx.Graph, fx.Node]:
    """The graph of a network, and what a module in it that runs once returns, or takes if the place ends in ``:in``."""
    whole: str = getattr(network, "aliases", {}).get(place, place)
    path, _, at_input = whole.partition(":")
    graph = _Tracer(path).trace(network)
    nodes = graph.find_nodes(op="call_module", target=path)
    taken = [node for node in nodes[0].args if isinstance(node, fx.Node)] if at_input and nodes else nodes
    if len(nodes) != 1 or len(taken) != 1:
        raise BadInput(f"{place!r} is no module that runs once in this {type(network).__name__}, where it can be cut")
    return graph, taken[0]


def _channels(lower: nn.Module) -> int:
    like = next(lower.parameters(), torch.zeros(()))
    with eval_mode(lower), torch.no_grad():
        value: Tensor = lower(torch.zeros(1, 3, SIDE, SIDE, dtype=like.dtype, device=like.device))
    return value.shape[1]


def _between(lower: nn.Module, other: nn.Module, name: str | None) -> nn.Module:
    """The bridge of a name, from the maps of one network's lower part to those of another's."""
    channels, out_channels = _channels(lower), _channels(other)
    if name is not None:
        return named_bridge(name, channels, out_channels)
    return nn.Identity() if channels == out_channels else make_transfer(channels, out_channels)


def _aliases(stock: nn.Module, lower: nn.Module, scion: nn.Module, upper: nn.Module) -> dict[str, str]:
    """The stock's names for what is in its lower part, and the scion's ``pooled``."""
    found: dict[str, str] = {}
    for part, network, wanted in (("stock", stock, lower), ("scion", scion, upper)):
        there = {name for name, _ in wanted.named_modules()}
        names: dict[str, str] = getattr(network, "aliases", {})
        inside = {alias: path for alias, path in names.items() if path.partition(":")[0] in there}
        kept = inside if part == "stock" else {alias: path for alias, path in inside.items() if alias == "pooled"}
        found |= {alias: f"{part}.{path}" for alias, path in kept.items()}
    return found
