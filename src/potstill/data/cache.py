"""The user's cache folder, and in it decoded images: decoding takes many seconds, reading them again one."""

import contextlib
import hashlib
import json
import os
import sys
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from filelock import FileLock
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from potstill.data.images import ImageSet
from potstill.errors import BadInput
from potstill.whole_file import drafted, remove_drafts, write_whole

LAYOUT = 1  # part of every key: raise it when what is decoded, or how it is written, changes


def cache_folder() -> Path:
    """``$XDG_CACHE_HOME/potstill``, or ``~/.cache/potstill``."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "potstill"


def decoded(sources: Sequence[Path], what: str, decode: Callable[[], ImageSet]) -> ImageSet:
    """What ``decode`` returns, from the cache if ``sources`` have not changed since it was written there.

    The key is each source's absolute path, size and modification time, and ``what`` was decoded from them. A corrupt
    cache file is reported on stderr and written again; a cache that cannot be written is reported and not used.
    """
    path = cache_folder() / "decoded" / f"{key(sources, what)}.safetensors"
    if path.exists():
        try:
            return _read(path)
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            print(f"potstill: rebuilding the corrupt cache file {path} ({error})", file=sys.stderr)
    image_set = decode()
    try:
        _write(path, image_set)
    except OSError as error:
        print(f"potstill: decoded images are not cached, {path.parent}: {error.strerror}", file=sys.stderr)
    return image_set


def key(sources: Sequence[Path], what: str) -> str:
    """A name for ``what`` is made from ``sources``: another one when a path, a size or a modification time changes."""
    stamps = [(str(path.absolute()), path.stat().st_size, path.stat().st_mtime_ns) for path in sources]
    return hashlib.sha256(json.dumps([LAYOUT, what, stamps]).encode()).hexdigest()[:32]


def make_once(path: Path, make: Callable[[Path], None]) -> None:
    """Have ``make`` write a file, unless it is there: another process waits meanwhile, and none ever sees half of it.

    Raises:
        BadInput: the disk is full, or the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f".{path.name}.lock")):
            if path.exists():
                return
            remove_drafts(path.parent, path.name)
            with drafted(path) as draft:
                make(draft)
    except OSError as error:
        hint = "$XDG_CACHE_HOME names another folder for it"
        raise BadInput(f"{path} cannot be written: {error.strerror or error}; {hint}") from error


def remembered(what: str, stamp: str, find: Callable[[], str]) -> str:
    """The short text that ``find`` returns, kept under ``stamp``: asked for once, as long as that stays the same.

    One that cannot be written is not kept; one that is damaged is found again.
    """
    path = cache_folder() / what / f"{stamp}.txt"
    with contextlib.suppress(OSError, ValueError):
        text, _, checksum = path.read_text("utf-8").rpartition(" ")
        if checksum == f"{zlib.crc32(text.encode()):08x}":
            return text
    found = find()
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, f"{found} {zlib.crc32(found.encode()):08x}".encode())
    return found


def _checksum(image_set: ImageSet) -> str:
    images = zlib.crc32(image_set.images.numpy().data)
    return f"{zlib.crc32(image_set.labels.numpy().data, images):08x}"


def _read(path: Path) -> ImageSet:
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in ("images", "labels")}
        written = (file.metadata() or {}).get("crc32")
    image_set = ImageSet(**tensors)
    if _checksum(image_set) != written:
        raise ValueError("its checksum does not match")
    return image_set


def _write(path: Path, image_set: ImageSet) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors: dict[str, torch.Tensor] = {"images": image_set.images, "labels": image_set.labels}
    write_whole(path, save(tensors, metadata={"crc32": _checksum(image_set)}))
