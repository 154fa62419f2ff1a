"""Operations for which the host waits for the device: with one of them, a step cannot be a CUDA graph.

They are found by what is called, on any device: a CPU waits for nothing, but calls the same.
"""

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

READ = frozenset(
    {
        "_local_scalar_dense",  # .item(), .tolist(), int(), float(), bool(), if
        "equal",
        "is_nonzero",
        "nonzero",
        "masked_select",
        "_unique",
        "_unique2",
        "unique_dim",
        "unique_consecutive",
        "bincount",
        "histogram",
        "_linalg_svd",  # whose solvers look whether they have converged
        "_linalg_eigh",
        "linalg_eig",
        "lift_fresh",  # torch.tensor: numbers of the host
    }
)
"""The names of those that give the host numbers, or tensors whose shapes depend on numbers, or take numbers from it."""
INDEXED = ("index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index_put")


class Waits(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes, inside a ``with`` block, the operations for which the host would wait for a GPU, backward passes included.

    >>> with Waits() as waits:
    ...     _ = torch.ones(3).sum() > 2, torch.ones(3)[torch.arange(3) > 1]
    >>> waits.found
    ['index by a mask']
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: list[str] = []

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # which would import the compiler, only to keep out of its way

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = operation.overloadpacket.__name__
        if (reason := _reason(name, args, kwargs)) and reason not in self.found:
            self.found.append(reason)
        return operation(*args, **kwargs)


def _reason(name: str, args: Any, kwargs: Any) -> str | None:
    """Why the host waits for an operation; None if it does not."""
    if name in READ:
        return name
    if name in INDEXED and any(one is not None and one.dtype in (torch.bool, torch.uint8) for one in args[1]):
        return f"{name} by a mask"
    if name == "repeat_interleave" and kwargs.get("output_size") is None:
        return name
    if name in ("_to_copy", "copy_"):
        there = args[1].device if name == "copy_" else args[0].device
        here = args[0].device if name == "copy_" else torch.device(kwargs.get("device") or there)
        return f"a copy from {there.type} to {here.type}" if here.type != there.type else None
    return None
