"""Keeping torch's compiler out of the way: to import it takes longer than many a run, and so nothing here does.

As long as nothing has imported it, nothing is compiled.
"""

import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

ANSWER = "__dynamo_disable"
"""The attribute."""


def is_loaded() -> bool:
    """Whether something has imported the compiler."""
    return "torch._dynamo" in sys.modules


def uncompiled() -> AbstractContextManager[None]:
    """Compiled networks run as they are written: hooks and other batch sizes would have them compiled again."""
    if not is_loaded():
        return nullcontext()
    return torch.compiler.set_stance("force_eager")  # type: ignore[no-any-return]


def compile_again(network: nn.Module) -> None:
    """Have code forgotten that was compiled before hooks were there: it would run without them."""
    if not is_loaded():
        return
    dynamo: Any = sys.modules["torch._dynamo"]
    dynamo.config.skip_nnmodule_hook_guards = False
    if any(module._compiled_call_impl is not None or "_orig_mod" in module._modules for module in network.modules()):
        dynamo.reset()


@contextmanager
def without_compiler() -> Iterator[None]:
    """Optimisers and the counting of operations do without the compiler inside, if nothing is compiled yet.

    When they are first called, they ask it to leave them as they are. torch keeps its answer as an attribute of the
    function: here, that there is nothing to be done. The numbers are the same.
    """
    methods = [(Optimizer, name) for name in ("add_param_group", "load_state_dict", "state_dict", "zero_grad")]
    asking: list[Any] = [getattr(owner, name, None) for owner, name in methods]
    counting = sys.modules.get("torch.utils.flop_counter")
    asking.append(getattr(getattr(counting, "_FlopCounterMode", None), "__torch_dispatch__", None))
    functions = [getattr(one, "__wrapped__", None) for one in asking]
    told = [one for one in functions if one is not None and not hasattr(one, ANSWER) and not is_loaded()]
    for function in told:
        setattr(function, ANSWER, function)
    try:
        yield
    finally:
        for function in told:
            delattr(function, ANSWER)


def step_of(optimizer: Optimizer) -> Callable[[], object]:
    """What takes an optimiser's step: the same numbers as ``optimizer.step``, whose wrapper imports the compiler."""
    plain = inspect.unwrap(type(optimizer).step)
    if is_loaded() or plain is type(optimizer).step:
        return optimizer.step
    return partial(torch.no_grad()(plain), optimizer)
