"""Tensors as they lie in a file: their shapes are known, their values are read when they are wanted."""

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from potstill.networks.pickled import Global, Persistent, Thing

DTYPES = {
    "Double": torch.float64,
    "Float": torch.float32,
    "Half": torch.float16,
    "BFloat16": torch.bfloat16,
    "Long": torch.int64,
    "Int": torch.int32,
    "Short": torch.int16,
    "Char": torch.int8,
    "Byte": torch.uint8,
    "Bool": torch.bool,
    "ComplexDouble": torch.complex128,
    "ComplexFloat": torch.complex64,
    "Untyped": torch.uint8,
}
"""The names of torch's classes of storages."""
OTHERS = {f"torch.{name}" for name in ("uint16", "uint32", "uint64", "float8_e4m3fn", "float8_e5m2")}
"""Types that have no such class."""
MOST_DIMENSIONS = 64


@dataclass(frozen=True)
class Stored:
    """A tensor in a file."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    read: Callable[[], Tensor]


class Storages(Protocol):
    """Where the storages of a file lie."""

    swapped: bool
    """Whether numbers are stored in the order of another machine."""

    def __call__(self, key: str) -> bytes | bytearray:
        """The bytes of a storage."""


Nested = Callable[[bytes], tuple[Any, Storages]]
"""Reads a whole file that lies inside another."""


@dataclass(frozen=True)
class Tensors:
    """Finds the tensors in the description of a pickle."""

    storages: Storages
    nested: Nested

    def tensor(self, value: Any, depth: int = 0) -> Stored | Tensor | None:
        """The tensor that a description means; None if it means none.

        Raises:
            ValueError, TypeError: it is damaged.
        """
        if isinstance(value, Stored | Tensor):
            return value
        if not isinstance(value, Thing) or depth > 4:
            return None
        if value.kind in REBUILDS:
            return self._rebuilt(*value.args)
        if value.kind == "torch._utils._rebuild_tensor_v3":
            *first, dtype = value.args[:7]
            return self._rebuilt(*first, dtype=dtype)
        if value.kind in INSIDE:
            return self.tensor(value.args[0], depth + 1)
        if value.kind in BY_TYPE:
            return self.tensor(Thing(value.args[0], value.args[2]), depth + 1)
        return _of_numpy(value)

    def _rebuilt(self, storage: Any, offset: int, size: Any, stride: Any, *_: Any, dtype: Any = None) -> Stored | None:
        storages = self.storages
        if isinstance(storage, Thing) and storage.kind == "torch.storage._load_from_bytes":
            storage, storages = self.nested(_bytes(storage.args[0]) or b"")
        if not isinstance(storage, Persistent) or storage.id[0] != "storage":
            return None
        _, kind, key, _, _, *view = storage.id
        own = _dtype(kind) if dtype is None else _named(dtype)
        if own is None:
            return None
        size, stride = _sizes(size), _sizes(stride)
        start = 0 if not view or view[0] is None else int(view[0][1])
        extent = 0 if 0 in size else 1 + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
        (first,) = _sizes((offset + start,))

        def read() -> Tensor:
            content = storages(str(key))
            values = torch.frombuffer(bytearray(content), dtype=own) if content else torch.empty(0, dtype=own)
            if first + extent > values.numel():
                raise ValueError(f"a tensor beyond the end of its storage {key}")
            values = _turned(values) if storages.swapped else values
            return values.as_strided(size, stride, first).clone()  # the storage may be larger

        return Stored(size, own, read)


REBUILDS = ("torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor")
INSIDE = (
    *("torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state"),
    *("torch._utils._rebuild_device_tensor_from_numpy", "torch._utils._rebuild_device_tensor_from_cpu_tensor"),
    *("torch.nn.parameter.Parameter", "torch.nn.parameter.Buffer"),
)
BY_TYPE = ("torch._tensor._rebuild_from_type_v2", "torch._tensor._rebuild_from_type")


def _dtype(kind: Any) -> torch.dtype | None:
    """The type of a storage's numbers, by the name of its class: torch.FloatStorage, torch.cuda.HalfStorage, ..."""
    name = kind.name.rpartition(".")[2] if isinstance(kind, Global) else ""
    return DTYPES.get(name.removesuffix("Storage"))


def size_of(kind: Any) -> int:
    """Bytes of a number in a storage of that class."""
    own = _dtype(kind)
    if own is None:
        raise ValueError("a storage of an unknown class")
    return own.itemsize


def _named(dtype: Any) -> torch.dtype | None:
    name = dtype.name if isinstance(dtype, Global) else ""
    known = {str(own): own for own in DTYPES.values()}
    return known.get(name) or (getattr(torch, name.removeprefix("torch.")) if name in OTHERS else None)


def _sizes(values: Any) -> tuple[int, ...]:
    """Sizes, strides or offsets, none of them negative."""
    if isinstance(values, Thing):  # a torch.Size
        (values,) = values.args
    if len(values) > MOST_DIMENSIONS or not all(type(n) is int and 0 <= n < 2**62 for n in values):
        raise ValueError("a tensor of a strange shape")
    return tuple(values)


def _turned(values: Tensor) -> Tensor:
    """The same bytes in the other order within each number, or each part of a complex one."""
    size = values.element_size() // (2 if values.is_complex() else 1)
    turned: Tensor = values.view(torch.uint8).view(-1, size).flip(1).contiguous().view(-1).view(values.dtype)
    return turned


def _of_numpy(value: Thing) -> Stored | None:
    """An array or a number of numpy's."""
    module, _, name = value.kind.replace("numpy.core.", "numpy._core.").rpartition(".")
    if (module, name) == ("numpy._core.multiarray", "_reconstruct") and value.state:
        _, shape, dtype, fortran, content = value.state
    elif (module, name) == ("numpy._core.multiarray", "scalar"):
        (dtype, content), shape, fortran = value.args, (), False
    elif (module, name) == ("numpy._core.numeric", "_frombuffer"):
        content, dtype, shape, order = value.args
        fortran = order == "F"
    else:
        return None
    own, data, shape = _dtype_of_numpy(dtype), _bytes(content), _sizes(shape)
    if own is None or data is None:
        return None
    if len(data) != own.itemsize * math.prod(shape):
        raise ValueError("an array of another length than its shape says")
    array = np.frombuffer(data, own).reshape(shape, order="F" if fortran else "C").astype(own.newbyteorder("="))
    values = torch.from_numpy(np.array(array, order="C"))
    return Stored(tuple(values.shape), values.dtype, lambda: values)


def _dtype_of_numpy(value: Any) -> np.dtype[Any] | None:
    """The type of numbers that a description means; None for texts, objects and records."""
    if not isinstance(value, Thing) or value.kind != "numpy.dtype" or not value.args:
        return None
    name, order = str(value.args[0]), str(value.state[1]) if isinstance(value.state, tuple) else "="
    return np.dtype(f"{order}{name}") if re.fullmatch("[<>=|][iuf][1248]|[<>=|][b?]1?", order + name) else None


def _bytes(value: Any) -> bytes | None:
    """Bytes, also as texts of old protocols spell them."""
    if isinstance(value, Thing) and value.kind == "_codecs.encode":
        value = value.args[0]
    if isinstance(value, str):
        return value.encode("latin1")
    return bytes(value) if isinstance(value, bytes | bytearray) else None


def pairs(value: Any) -> list[tuple[str, Any]] | None:
    """The entries of a dictionary of any class, or the attributes of an object, by name; None if there are none."""
    if isinstance(value, dict):
        return [(str(key), inner) for key, inner in value.items()]
    if isinstance(value, list | tuple):
        return [(str(i), inner) for i, inner in enumerate(value)] if len(value) <= 16 else None
    if not isinstance(value, Thing):
        return None
    found = value.pairs or list(_pairs_of_args(value.args)) or (value.state.pairs if _has_pairs(value.state) else [])
    return [(key, inner) for key, inner in found if isinstance(key, str)]


def _has_pairs(value: Any) -> bool:
    return isinstance(value, Thing) and bool(value.pairs)


def _pairs_of_args(args: Any) -> Iterator[tuple[Any, Any]]:
    """The entries that a dictionary is made of: another one, or a list of pairs."""
    if isinstance(args, tuple) and len(args) == 1:
        if _has_pairs(args[0]):
            yield from args[0].pairs
        elif isinstance(args[0], list):
            yield from ((pair[0], pair[1]) for pair in args[0] if isinstance(pair, list | tuple) and len(pair) == 2)
