"""Looking at a network without changing it."""

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from torch import nn


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


def uncompiled() -> AbstractContextManager[None]:
    """Compiled networks run as they are written: hooks and other batch sizes would have them compiled again.

    The compiler is not imported for that: unless something has imported it, nothing is compiled.
    """
    if "torch._dynamo" not in sys.modules:
        return nullcontext()
    import torch

    return torch.compiler.set_stance("force_eager")  # type: ignore[no-any-return]
