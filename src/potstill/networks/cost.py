"""What a network costs: parameters and multiply-adds, of the whole and of every layer."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from potstill import guard
from potstill.checked import checked
from potstill.compiler import without_compiler
from potstill.errors import BadInput
from potstill.eval_mode import eval_mode
from potstill.networks.input import only_size
from potstill.ranges import Count, Side

if TYPE_CHECKING:
    from torch.utils.flop_counter import FlopCounterMode

Shape = tuple[Count, Side, Side]
CONVOLUTIONS = (
    *(nn.Conv1d, nn.Conv2d, nn.Conv3d),
    *(nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d),
)


@dataclass(frozen=True)
class Layer:
    """What one module costs by itself, without the modules in it.

    ``output`` is the shape of what it returns for one image when it first runs, None if it never runs. ``parameters``
    are its own but for ``shared`` ones, which a layer before it counts. ``macs`` are its own multiply-adds for one
    image, of all the times it runs.
    """

    path: str
    kind: str
    output: tuple[int, ...] | None
    parameters: int
    shared: int
    macs: int


def parameters(*networks: nn.Module) -> int:
    """Count the parameters of one or several networks; one that is shared counts once, buffers not at all.

    >>> import potstill as ps
    >>> light, booster = ps.networks.create("wrn-16-1"), ps.networks.create("wrn-40-1")
    >>> apart = ps.networks.parameters(light, booster)
    >>> ps.networks.share(light, booster)
    >>> apart - ps.networks.parameters(light, booster)
    173488
    """
    return sum(p.numel() for p in {p for network in networks for p in network.parameters()})


def conv_parameters(network: nn.Module) -> int:
    """Count the weights and biases of a network's convolutions, 1x1 ones included.

    >>> import potstill as ps
    >>> network = ps.networks.create("wrn-16-1")
    >>> ps.networks.conv_parameters(network), ps.networks.parameters(network)
    (173488, 175066)
    """
    return parameters(*(module for module in network.modules() if isinstance(module, CONVOLUTIONS)))


@checked
def macs(network: nn.Module, input_shape: Shape = (3, 32, 32)) -> int:
    """Count the multiply-adds of convolutions, linear layers and attention for one image of ``input_shape`` (C, H, W).

    The network runs once on zeros in eval mode and is left as it was. ``BadInput`` if it cannot take such an image.

    >>> import potstill as ps
    >>> network = ps.networks.create("resnet20")
    >>> ps.networks.macs(network), ps.networks.macs(network, input_shape=(3, 64, 64))
    (40813184, 163250816)
    """
    with _counter() as counter:
        _run(network, input_shape)
    return int(counter.get_total_flops()) // 2


@checked
def layers(network: nn.Module, input_shape: Shape = (3, 32, 32)) -> list[Layer]:
    """The cost of every layer, in the order in which the network holds them; the sums are `parameters` and `macs`.

    A layer is a module that has parameters or multiply-adds of its own. What is computed by functions (attention,
    matrix products) belongs to the innermost module that calls them; the path of the network itself is empty.

    >>> import potstill as ps
    >>> for layer in ps.networks.layers(ps.networks.create("resnet8"))[:2]:
    ...     print(layer.path, layer.kind, layer.output, layer.parameters, layer.macs)
    conv1 Conv2d (1, 16, 32, 32) 432 442368
    bn1 BatchNorm2d (1, 16, 32, 32) 32 0
    """
    with _counter() as counter, _Books(network, counter) as books:
        _run(network, input_shape)
    seen: set[nn.Parameter] = set()
    rows = []
    for path, module in network.named_modules():
        own = set(module.parameters(recurse=False))
        new, shared = (sum(p.numel() for p in some) for some in (own - seen, own & seen))
        seen |= own
        if own or books.flops[module]:
            kind, output = type(module).__name__, books.outputs.get(module)
            rows.append(Layer(path, kind, output, new, shared, books.flops[module] // 2))
    return rows


@contextmanager
def _counter() -> "Iterator[FlopCounterMode]":
    """Count what runs inside."""
    from torch.utils.flop_counter import FlopCounterMode  # and with it Triton: only where something is counted

    with without_compiler(), FlopCounterMode(display=False) as counter:
        yield counter


class _Books:
    """Book what the counter counts on the innermost module that runs, while the context lasts."""

    def __init__(self, network: nn.Module, counter: "FlopCounterMode") -> None:
        self.network, self.counter = network, counter
        self.flops = dict.fromkeys(network.modules(), 0)
        self.outputs: dict[nn.Module, tuple[int, ...]] = {}
        self.running: list[nn.Module] = []
        self.booked = 0

    def __enter__(self) -> "_Books":
        self.hooks = []
        for module in self.flops:
            self.hooks.append(module.register_forward_pre_hook(self._enter, prepend=True))
            self.hooks.append(module.register_forward_hook(self._leave))
        return self

    def __exit__(self, *_: object) -> None:
        for hook in self.hooks:
            hook.remove()

    def _enter(self, module: nn.Module, _: object) -> None:
        self._book()
        self.running.append(module)

    def _leave(self, module: nn.Module, _: object, output: Any) -> None:
        self._book()
        self.running.pop()
        tensor = output[0] if isinstance(output, (tuple, list)) and output else output
        if isinstance(tensor, Tensor):
            self.outputs.setdefault(module, tuple(tensor.shape))

    def _book(self) -> None:
        """What was counted since the last time is of the module that ran since."""
        total = int(self.counter.get_total_flops())
        if self.running:
            self.flops[self.running[-1]] += total - self.booked
        self.booked = total


def _run(network: nn.Module, input_shape: Shape) -> None:
    """Run the network on one image of zeros, in a way that the counter sees into."""
    like = next(network.parameters(), torch.empty(0))
    image = torch.zeros(1, *input_shape, device=like.device, dtype=like.dtype)
    with eval_mode(network), _plain_attention(), torch.no_grad(), taking(network, input_shape):
        network(image)


@contextmanager
def taking(network: nn.Module, input_shape: Shape) -> Iterator[None]:
    """Say in one line, as ``BadInput``, that the network cannot take an image of that shape, if it fails inside."""
    try:
        yield
    except (Exception, SystemExit) as error:
        if guard.is_ours(error) or guard.is_out_of_memory(error):
            raise
        size = only_size(network)
        only = f"; it takes {size[0]}x{size[1]} only" if size else ""
        reason = guard.describe(error, with_kind=not isinstance(error, RuntimeError | ValueError | AssertionError))
        reason = reason.removesuffix(".") + only
        raise BadInput(f"{type(network).__name__} cannot take an image of shape {input_shape}: {reason}") from error


@contextmanager
def off_the_fast_path() -> Iterator[None]:
    """Run torch's own transformer layers module by module, not by the one fused kernel that eval mode has for them."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


@contextmanager
def _plain_attention() -> Iterator[None]:
    """Keep attention off its fused kernels: the counter sees into not all of them, older torch's into fewer."""
    with off_the_fast_path(), sdpa_kernel(SDPBackend.MATH):
        yield
