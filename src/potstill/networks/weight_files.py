"""Files of weights of any common format, told by their content and not by their names; no code in them is run."""

import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from safetensors.torch import load, load_file
from torch import Tensor

from potstill.errors import BadInput
from potstill.networks.pickled import Persistent, read_pickle
from potstill.networks.stored import Storages, Stored, Tensors, pairs, size_of
from potstill.text import is_text

MAGIC = 0x1950A86A20F9469CFC6C
"""The first pickle of torch's format before 1.6."""
MOST_UNPACKED = 20
"""How many times its own size an archive may unpack to: weights hardly shrink, bombs shrink a thousand times."""
SMALL = 2**24
"""Bytes that no archive is too large for."""
TARS_AT = 257
OTHERS = {
    b"\x89HDF\r\n\x1a\n": "an HDF5 file, as Keras writes it",
    b"\x1f\x8b": "packed by gzip; unpack it first",
    b"BZh": "packed by bzip2; unpack it first",
    b"\xfd7zXZ": "packed by xz; unpack it first",
    b"7z\xbc\xaf": "a 7z archive; unpack it first",
    b"Rar!": "a RAR archive; unpack it first",
    b"GGUF": "a GGUF file",
    b"TFL3": "a TensorFlow Lite file",
    b"\x93NUMPY": "a single array",
    b"version https://git-lfs": "a pointer of Git LFS; git lfs pull fetches the file",
    b"<!DOCTYPE": "a web page",
    b"<!doctype": "a web page",
    b"<html": "a web page",
}
"""How files begin that hold no weights for us."""


class Refused(ValueError):
    """What a file is, where that is no file of weights."""


@dataclass(frozen=True)
class Content:
    """What a file holds, as descriptions, and what finds the tensors among them."""

    root: Any
    tensors: Tensors


@contextmanager
def opened(path: Path) -> Iterator[Content]:
    """A file of torch, safetensors or NumPy, or an index of several, whose tensors can be read inside the block.

    Raises:
        BadInput: there is no such file, or it is none of these, or damaged, also where that shows inside the block.
    """
    if not path.is_file():
        raise BadInput(f"no weights file {str(path)!r}")
    try:
        with path.open("rb") as stream:
            yield _read(path, stream)
    except BadInput:
        raise
    except Exception as error:  # arbitrary bytes fail in arbitrary ways
        reason = str(error) if isinstance(error, Refused) else "damaged, or not a file of weights"
        raise BadInput(f"cannot read weights from {path}: {reason}") from error


def _read(path: Path, stream: BinaryIO) -> Content:
    head = stream.read(512)
    stream.seek(0)
    for start, what in OTHERS.items():
        if head.startswith(start):
            raise Refused(f"it is {what}")
    if head[TARS_AT:].startswith(b"ustar"):
        raise Refused("it is a tar archive, maybe of torch before 0.2; load and save it with a newer one")
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= path.stat().st_size:
        # Mapped into memory, which that library does for paths of text alone.
        tensors = load_file(path) if is_text(path) else load(stream.read())
        return Content(tensors, WITHOUT_STORAGES)
    if head.lstrip()[:1] == b"{":
        return Content(_of_index(path), WITHOUT_STORAGES)
    if b"onnx" in head[:64].lower() or path.suffix == ".onnx":
        raise Refused("it is an ONNX file: a graph, and not weights by name")
    return _of_torch(stream)


def _of_torch(stream: BinaryIO) -> Content:
    """A file of torch, old or new, or of NumPy, or a pickle with tensors or arrays in it."""
    if zipfile.is_zipfile(stream):
        return _of_zip(zipfile.ZipFile(stream), stream.seek(0, 2))
    stream.seek(0)
    first = read_pickle(stream)
    return _of_old_torch(stream) if first == MAGIC else Content(first, WITHOUT_STORAGES)


def _of_index(path: Path) -> dict[str, Tensor]:
    """All tensors of the files that an index of Hugging Face's names, which lie beside it."""
    found: dict[str, Any] = {}
    for name in dict.fromkeys(json.loads(path.read_bytes())["weight_map"].values()):
        part = path.parent / Path(name).name
        if not part.is_file() or part.suffix == path.suffix:
            raise Refused(f"it names {Path(name).name}, which is not beside it")
        with part.open("rb") as stream:
            content = _read(part, stream)
            for key, value in pairs(content.root) or []:
                tensor = content.tensors.tensor(value)
                found[key] = tensor.read() if isinstance(tensor, Stored) else tensor
    return found


def _nested(content: bytes) -> tuple[Any, Storages]:
    """A storage that was pickled by itself, as a file of torch inside the pickle."""
    inner = _of_torch(BytesIO(content))
    return inner.root, inner.tensors.storages


@dataclass
class _InZip:
    """The storages of torch's own format: each is a record of an archive."""

    archive: zipfile.ZipFile
    folder: str
    swapped: bool
    last: tuple[str, bytes] = ("", b"")

    def __call__(self, key: str) -> bytes:
        if self.last[0] != key:  # parts of one storage mostly follow each other
            self.last = (key, _record(self.archive, f"{self.folder}data/{key}"))
        return self.last[1]


@dataclass
class _InStream:
    """Storages at known places of a file: none, or those of torch's format before 1.6."""

    stream: BinaryIO
    swapped: bool
    places: dict[str, tuple[int, int]]

    def __call__(self, key: str) -> bytes:
        start, length = self.places[key]
        self.stream.seek(start)
        return self.stream.read(length)


WITHOUT_STORAGES = Tensors(_InStream(BytesIO(), False, {}), _nested)


def _of_zip(archive: zipfile.ZipFile, size: int) -> Content:
    entries = {entry.filename: entry.file_size for entry in archive.infolist()}
    if sum(entry.file_size for entry in archive.infolist()) > MOST_UNPACKED * size + SMALL:
        raise Refused("it unpacks to far more than weights do")
    pickles = [name for name in entries if name.endswith("data.pkl") and name.count("/") <= 1]
    if len(pickles) == 1:
        folder = pickles[0].removesuffix("data.pkl")
        order = _record(archive, f"{folder}byteorder") if f"{folder}byteorder" in entries else b"little"
        storages = _InZip(archive, folder, order.strip() == b"big")
        return Content(read_pickle(BytesIO(_record(archive, pickles[0]))), Tensors(storages, _nested))
    if entries and all(name.endswith(".npy") for name in entries):
        arrays = {name.removesuffix(".npy"): _array(_record(archive, name)) for name in entries}
        return Content(arrays, WITHOUT_STORAGES)
    raise Refused("it is an archive of something else")


def _record(archive: zipfile.ZipFile, name: str) -> bytes:
    entry = archive.getinfo(name)
    if entry.CRC == 0:  # torch was told not to compute them
        del entry.CRC
    with archive.open(entry) as record:
        content = record.read(entry.file_size + 1)
    if len(content) != entry.file_size:
        raise ValueError(f"a record of another size: {name}")
    return content


def _array(content: bytes) -> Tensor:
    values: np.ndarray[Any, Any] = np.load(BytesIO(content), allow_pickle=False)
    return torch.from_numpy(values.astype(values.dtype.newbyteorder("="), order="C"))


def _of_old_torch(stream: BinaryIO) -> Content:
    """What follows the first pickle: the protocol, the system, the content, the keys, and the storages in their order.

    Each storage lies behind its length.
    """
    references: list[Persistent] = []
    read_pickle(stream)
    system = read_pickle(stream)
    root, keys = read_pickle(stream, references), read_pickle(stream)
    swapped = ("little_endian", False) in system.pairs
    sizes = {str(reference.id[2]): size_of(reference.id[1]) for reference in references if reference.id[0] == "storage"}
    places = {}
    for key in keys:
        count = int.from_bytes(stream.read(8), "big" if swapped else "little")
        places[str(key)] = (stream.tell(), count * sizes[str(key)])
        stream.seek(sum(places[str(key)]))
    return Content(root, Tensors(_InStream(stream, swapped, places), _nested))
