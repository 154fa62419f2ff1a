"""What a network costs: parameters and multiply-adds."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from potstill.errors import BadInput


def parameters(*networks: nn.Module) -> int:
    """Count the parameters of one or several networks; one that is shared counts once, buffers not at all."""
    return sum(p.numel() for p in {p for network in networks for p in network.parameters()})


def macs(network: nn.Module, input_shape: tuple[int, int, int] = (3, 32, 32)) -> int:
    """Count the multiply-adds of convolutions, linear layers and attention for one image of ``input_shape`` (C, H, W).

    The network runs once on zeros in eval mode and is left as it was. ``BadInput`` if it cannot take such an image.
    """
    like = next(network.parameters(), torch.empty(0))
    image = torch.zeros(1, *input_shape, device=like.device, dtype=like.dtype)
    with eval_mode(network), _plain_attention(), FlopCounterMode(display=False) as counter, torch.no_grad():
        try:
            network(image)
        except (RuntimeError, ValueError, AssertionError) as error:
            reason = str(error).partition("\n")[0]
            raise BadInput(f"{type(network).__name__} cannot take an image of shape {input_shape}: {reason}") from error
    return int(counter.get_total_flops()) // 2


@contextmanager
def eval_mode(network: nn.Module) -> Iterator[None]:
    """Eval mode inside; afterwards each module is back in its own mode, which may differ from its parent's."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


@contextmanager
def _plain_attention() -> Iterator[None]:
    """Keep nn.MultiheadAttention off its fused inference kernel, which the counter does not see into."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
