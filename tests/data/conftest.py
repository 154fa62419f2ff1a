"""Small image sets written in the two layouts of CIFAR."""

import io
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from PIL import Image


def png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "png")
    return buffer.getvalue()


def write_parquet(path: Path, encoded: Sequence[bytes | None], labels: Sequence[int], column: str = "label") -> None:
    rows = [{"bytes": content, "path": None} for content in encoded]
    struct_type = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(
        pyarrow.table({"img": pyarrow.array(rows, struct_type), column: pyarrow.array(labels, pyarrow.int64())}), path
    )


def published_batch(images: np.ndarray, labels: Sequence[int], names: Sequence[str], key: str = "labels") -> bytes:
    """A python batch byte for byte as Python 2 pickled the published ones: images (N, 32, 32, 3) as uint8."""
    memo = 0

    def remember() -> bytes:
        nonlocal memo
        memo += 1
        return b"q" + bytes([memo]) if memo < 256 else b"r" + struct.pack("<I", memo)

    def text(value: str) -> bytes:
        return b"U" + bytes([len(value)]) + value.encode() + remember()

    def items(values: Sequence[bytes]) -> bytes:  # cPickle appends a thousand at a time
        return b"".join(b"(" + b"".join(values[at : at + 1000]) + b"e" for at in range(0, len(values), 1000))

    pixels = images.transpose(0, 3, 1, 2).tobytes()
    parts = [b"\x80\x02}", remember(), b"(", text("batch_label"), text("training batch 1 of 5")]
    parts += [text(key), b"]", remember(), items([b"K" + bytes([label]) for label in labels])]
    parts += [text("data"), b"cnumpy.core.multiarray\n_reconstruct\n", remember(), b"cnumpy\nndarray\n", remember()]
    parts += [b"K\x00\x85U\x01b\x87R", remember(), b"(K\x01M", struct.pack("<H", len(images)), b"M\x00\x0c\x86"]
    parts += [b"cnumpy\ndtype\n", remember(), b"U\x02u1K\x00K\x01\x87R", remember()]
    parts += [b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T", struct.pack("<I", len(pixels)), pixels]
    parts += [b"tb", text("filenames"), b"]", remember(), items([text(name) for name in names]), b"u."]
    return b"".join(parts)


@pytest.fixture
def parquet_writer() -> Callable[..., None]:
    return write_parquet


@pytest.fixture
def batch_writer() -> Callable[..., bytes]:
    return published_batch


@pytest.fixture
def images() -> np.ndarray:
    """Twelve images of noise, (12, 32, 32, 3)."""
    return np.random.default_rng(0).integers(256, size=(12, 32, 32, 3), dtype=np.uint8)


@pytest.fixture
def hub(tmp_path: Path, images: np.ndarray) -> Path:
    """A folder with a tiny cifar10 and cifar100 as on the Hub: eight training images in two files, four to test."""
    encoded = [png(image) for image in images]
    for name, column in (("cifar10", "label"), ("cifar100", "fine_label")):
        folder = tmp_path / "hub" / name
        write_parquet(folder / "train-00000-of-00002.parquet", encoded[:5], range(5), column)
        write_parquet(folder / "train-00001-of-00002.parquet", encoded[5:8], range(5, 8), column)
        write_parquet(folder / "test-00000-of-00001.parquet", encoded[8:], range(4), column)
    return tmp_path / "hub"


@pytest.fixture
def batches(tmp_path: Path, images: np.ndarray) -> Path:
    """A folder with the same images as `hub`, as python batches."""
    names = [f"image_{row}.png" for row in range(12)]
    cifar10, cifar100 = tmp_path / "old" / "cifar-10-batches-py", tmp_path / "old" / "cifar-100-python"
    cifar10.mkdir(parents=True)
    cifar100.mkdir()
    for number, rows in enumerate((slice(0, 2), slice(2, 4), slice(4, 5), slice(5, 6), slice(6, 8)), 1):
        content = published_batch(images[rows], range(8)[rows], names[rows])
        (cifar10 / f"data_batch_{number}").write_bytes(content)
    (cifar10 / "test_batch").write_bytes(published_batch(images[8:], range(4), names[8:]))
    (cifar100 / "train").write_bytes(published_batch(images[:8], range(8), names[:8], "fine_labels"))
    (cifar100 / "test").write_bytes(published_batch(images[8:], range(4), names[8:], "fine_labels"))
    return tmp_path / "old"


@pytest.fixture(autouse=True)
def _no_folder_of_the_user(request: pytest.FixtureRequest) -> None:
    """Folders are given, unless a test is about the real data; a new cache for every test that writes its own data."""
    if "tmp_path" in request.fixturenames:
        patch = request.getfixturevalue("monkeypatch")
        patch.delenv("POTSTILL_DATA", raising=False)
        patch.setenv("XDG_CACHE_HOME", str(request.getfixturevalue("tmp_path") / "cache"))
