"""CIFAR from both layouts, wherever it lies, and everything that can be wrong with its files."""

import hashlib
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
import torch
from drawn import drawn

from potstill.data.cifar import cifar10, cifar100
from potstill.data.cifar_batches import read_batches
from potstill.data.normalize import STATISTICS
from potstill.data.parquet import read_split
from potstill.errors import BadInput

READERS = {"cifar10": cifar10, "cifar100": cifar100}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("layout", ["hub", "batches"])
def test_both_layouts_give_the_images_in_order(name, layout, images, request):
    train, test = READERS[name](request.getfixturevalue(layout))
    np.testing.assert_array_equal(train.images.numpy(), images[:8])
    np.testing.assert_array_equal(test.images.numpy(), images[8:])
    assert train.labels.tolist() == list(range(8))
    assert test.labels.tolist() == list(range(4))


@pytest.mark.parametrize("inner", [".", "cifar10"])
def test_found_in_the_folder_itself_or_below(hub, inner):
    assert len(cifar10(hub / "cifar10" if inner == "." else hub)[0]) == 8


def test_found_by_the_environment(hub, monkeypatch):
    monkeypatch.setenv("POTSTILL_DATA", str(hub))
    assert len(cifar10()[0]) == 8


def test_found_in_the_cache_and_said_so(batches, tmp_path, capsys):
    shutil.copytree(batches / "cifar-10-batches-py", tmp_path / "cache" / "potstill" / "cifar-10-batches-py")
    empty = tmp_path / "empty"
    empty.mkdir()
    assert len(cifar10(empty)[0]) == 8
    assert f"cifar10 is not in {empty}; trying {tmp_path / 'cache'}" in capsys.readouterr().err


def damage_parquet(name: str) -> Callable[[Path], None]:
    def truncate(folder: Path) -> None:
        path = folder / "test-00000-of-00001.parquet"
        path.write_bytes(path.read_bytes()[:-100])

    def drop_shard(folder: Path) -> None:
        (folder / "train-00001-of-00002.parquet").unlink()

    def drop_test(folder: Path) -> None:
        (folder / "test-00000-of-00001.parquet").unlink()

    def rename_column(folder: Path) -> None:
        path = folder / "train-00000-of-00002.parquet"
        table = pyarrow.parquet.read_table(path)
        pyarrow.parquet.write_table(table.rename_columns(["img", "labels"]), path)

    return {f.__name__: f for f in (truncate, drop_shard, drop_test, rename_column)}[name]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("truncate", r"test-00000-of-00001.parquet is not a readable Parquet file"),
        ("drop_shard", r"cifar10 holds 1 of the 2 files train-\*.parquet"),
        ("drop_test", r"no test-\*.parquet in .*cifar10"),
        ("rename_column", r"train-00000-of-00002.parquet has no column 'label'; it has labels"),
    ],
)
def test_damaged_parquet_folders(hub, damage, message):
    damage_parquet(damage)(hub / "cifar10")
    with pytest.raises(BadInput, match=message):
        cifar10(hub)


def encoded(kind: str) -> bytes | None:
    import io

    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", (32, 32) if kind != "small" else (31, 32)).save(buffer, "png")
    content = buffer.getvalue()
    return {"none": None, "truncated": content[:60], "noise": b"no image", "small": content, "good": content}[kind]


@pytest.mark.parametrize(
    ("kind", "label", "message"),
    [
        ("none", 0, "train-0.parquet, row 2: there is no image"),
        ("truncated", 0, "train-0.parquet, row 2: the image cannot be decoded"),
        ("noise", 0, "train-0.parquet, row 2: the image cannot be decoded"),
        ("small", 0, "train-0.parquet, row 2: the image is 32x31 pixels, not 32x32"),
        ("good", 10, "train-0.parquet, row 2: label is 10, but must be 0..9"),
        ("good", None, "train-0.parquet, row 2: label is None, but must be 0..9"),
    ],
)
def test_bad_rows_of_parquet(tmp_path, parquet_writer, kind, label, message):
    good = encoded("good")
    parquet_writer(tmp_path / "train-0.parquet", [good, good, encoded(kind)], [0, 1, label])
    with pytest.raises(BadInput, match=message):
        cifar10(tmp_path)


def test_images_that_are_no_structs(tmp_path):
    table = pyarrow.table({"img": [1, 2], "label": [0, 1]})
    pyarrow.parquet.write_table(table, tmp_path / "train-0.parquet")
    with pytest.raises(BadInput, match="train-0.parquet is not a readable Parquet file of images"):
        cifar10(tmp_path)


class Evil:
    def __reduce__(self):
        return os.system, ("echo this must not run",)


GOOD = {"data": np.zeros((2, 3072), np.uint8), "labels": [0, 1]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickle.dumps(Evil()), "data_batch_1 is not a readable python batch: it asks for posix.system"),
        (pickle.dumps(GOOD)[:-50], "data_batch_1 is not a readable python batch"),
        (b"", "data_batch_1 is not a readable python batch"),
        (pickle.dumps([1, 2]), "data_batch_1 holds no uint8 array 'data'"),
        (pickle.dumps({**GOOD, "data": np.zeros((2, 3071), np.uint8)}), "holds no uint8 array 'data'"),
        (pickle.dumps({**GOOD, "data": np.zeros((2, 3072))}), "holds no uint8 array 'data'"),
        (pickle.dumps({**GOOD, "labels": [0]}), "holds no list 'labels' of 2 labels"),
        (pickle.dumps({**GOOD, "labels": [0, 10]}), "data_batch_1, row 1: labels is 10, but must be 0..9"),
    ],
    ids=["code", "truncated", "empty", "list", "narrow", "float", "few-labels", "label-10"],
)
def test_bad_python_batches(batches, content, message):
    (batches / "cifar-10-batches-py" / "data_batch_1").write_bytes(content)
    with pytest.raises(BadInput, match=message):
        cifar10(batches)


def test_a_missing_python_batch(batches):
    (batches / "cifar-10-batches-py" / "data_batch_4").unlink()
    with pytest.raises(BadInput, match="data_batch_4 is missing"):
        cifar10(batches)


def test_a_folder_that_does_not_exist(tmp_path):
    with pytest.raises(BadInput, match="the data folder .*nowhere does not exist"):
        cifar10(tmp_path / "nowhere")


def test_ten_thousand_real_images_make_the_published_batch(shared_data, tmp_path, batch_writer):
    """Parquet, our decoding and our reading of python batches all meet the file that was published."""
    table = pyarrow.parquet.read_table(shared_data / "cifar10" / "train-00000-of-00002.parquet").slice(0, 10_000)
    pyarrow.parquet.write_table(table, tmp_path / "train-0.parquet")
    from_parquet = read_split(tmp_path, "train", image="img", label="label", size=(32, 32), classes=10)
    names = [row["path"] for row in table["img"].to_pylist()]
    content = batch_writer(from_parquet.images.numpy(), from_parquet.labels.tolist(), names)
    assert hashlib.md5(content).hexdigest() == "c99cafc152244af753f735de768cd75f"  # of data_batch_1 as published
    (tmp_path / "data_batch_1").write_bytes(content)
    from_batch = read_batches([tmp_path / "data_batch_1"], label="labels", classes=10)
    assert torch.equal(from_batch.images, from_parquet.images)
    assert torch.equal(from_batch.labels, from_parquet.labels)


@pytest.mark.parametrize("name", drawn(READERS, 1))
def test_statistics_are_those_of_the_training_images(shared_data, name):
    train, test = READERS[name](shared_data)
    assert (len(train), len(test)) == (50_000, 10_000)
    assert train.labels.bincount().unique().tolist() == [50_000 // (10 if name == "cifar10" else 100)]
    counts = torch.stack([train.images[..., channel].flatten().bincount(minlength=256) for channel in range(3)])
    values, weights = torch.arange(256).double() / 255, counts.double() / counts.sum(1, keepdim=True)
    mean = weights @ values
    std = (weights @ values**2 - mean**2).sqrt()
    expected_mean, expected_std = (torch.tensor(triple, dtype=torch.float64) for triple in STATISTICS[name])
    # Written down with four decimals.
    torch.testing.assert_close(mean, expected_mean, rtol=0, atol=5.1e-5)
    torch.testing.assert_close(std, expected_std, rtol=0, atol=5.1e-5)
