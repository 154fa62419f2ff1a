"""A distiller that is looked at and does not learn."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from potstill.compiler import uncompiled
from potstill.distiller import Distiller
from potstill.eval_mode import eval_mode


@contextmanager
def at_rest(distiller: Distiller) -> Iterator[None]:
    """Networks in eval mode, without autograd, uncompiled; afterwards all is as before, random numbers too."""
    device = distiller.weights.device
    with (
        eval_mode(distiller.networks),
        torch.no_grad(),
        torch.random.fork_rng([device] if device.type == "cuda" else []),
        uncompiled(),
    ):
        yield
