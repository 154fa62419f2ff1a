"""Lists and Parquet files of images that have several labels, or none."""

import json

import pyarrow
import pyarrow.parquet
import pytest
import torch
from data.odd_folders import IMAGES, put

import potstill as ps
from potstill.data.files.image_files import read_images
from potstill.data.label_names import label_name
from potstill.errors import BadInput
from potstill.selection import Place

EXPECTED = {"0.png": "cat, dog", "1.png": "", "2.png": "dog", "3.png": "cat", "4.png": "cat, dog", "5.png": "dog"}


def names(files):
    labels = files.train.labels.tolist()
    return {files.train.key(row).decode(): label_name(label, files.classes) for row, label in enumerate(labels)}


def listing(root, kind, cells):
    """A list of the images 0.png to 5.png and their labels: a CSV file, or a Parquet one."""
    put(root, *(f"{row}.png" for row in range(6)))
    paths = [f"{row}.png" for row in range(6)]
    if kind == "csv":
        (root / "list.csv").write_text("\n".join(["path,label", *map(",".join, zip(paths, cells, strict=True))]))
    else:
        pyarrow.parquet.write_table(pyarrow.table({"path": paths, "label": cells}), root / "list.parquet")
    return Place(labels=str(root / f"list.{kind}"), label_separator="|" if isinstance(cells[0], str) else None)


TEXTS = ["cat|dog", "", "dog", "cat", " dog | cat ", "dog|dog"]
LISTS = [["cat", "dog"], [], ["dog"], ["cat"], ["dog", "cat"], ["dog", None]]


@pytest.mark.parametrize(("kind", "cells"), [("csv", TEXTS), ("parquet", TEXTS), ("parquet", LISTS)])
def test_a_list_says_several_of_each(kind, cells, tmp_path):
    files = read_images(tmp_path, listing(tmp_path, kind, cells))
    assert files.several
    assert files.classes == ("cat", "dog")
    assert files.train.labels.dtype == torch.float32
    assert names(files) == EXPECTED


def shard(path, labels, feature=None, column="label"):
    rows = [{"bytes": IMAGES[row], "path": None} for row in range(len(labels))]
    table = pyarrow.table({"image": rows, "image_id": list(range(len(labels))), column: labels})
    if feature is not None:
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": {column: feature}}})})
    pyarrow.parquet.write_table(table, path)


NAMED = {"names": ["dog", "cat"], "_type": "ClassLabel"}


@pytest.mark.parametrize(
    ("labels", "feature", "separator", "classes"),
    [
        (TEXTS, None, "|", ("cat", "dog")),
        (LISTS, None, None, ("cat", "dog")),
        ([[1, 0], [], [0], [1], [0, 1], [0]], {"feature": NAMED, "_type": "Sequence"}, None, ("dog", "cat")),
        ([[1, 0], [], [0], [1], [0, 1], [0]], [NAMED], None, ("dog", "cat")),
        ([[4, 7], [], [7], [4], [4, 7], [7]], None, None, ("4", "7")),
    ],
)
@pytest.mark.parametrize("column", ["label", "labels"])
def test_a_column_of_parquet_says_several_of_each(labels, feature, separator, classes, column, tmp_path, user_cache):
    shard(tmp_path / "train.parquet", labels, feature, column)
    files = read_images(tmp_path, Place(label_separator=separator))
    assert files.several
    assert files.classes == classes
    called = {"4": "cat", "7": "dog"}
    found = [{called.get(c, c) for c in name.split(", ") if c} for name in names(files).values()]
    assert found == [{c for c in name.split(", ") if c} for name in EXPECTED.values()]


def test_batches_have_a_number_for_each_class(tmp_path):
    place = listing(tmp_path, "csv", TEXTS)
    asked = {"labels": place.labels, "label_separator": "|", "image_size": 8, "workers": 0, "batch_size": 3}
    data = ps.data.load(str(tmp_path), **asked)
    batch = next(iter(data.train))
    assert data.several
    assert data.described()["several"] is True
    assert batch["labels"].shape == (3, 2)
    keys = [data.train.images.key(row).decode() for row in batch["index"].tolist()]
    assert [label_name(label, data.classes) for label in batch["labels"].tolist()] == [EXPECTED[key] for key in keys]
    other = listing(tmp_path, "csv", ["cat", *TEXTS[1:]])
    changed = ps.data.load(str(tmp_path), **{**asked, "labels": other.labels})
    assert changed.described()["digest"] != data.described()["digest"]
    with pytest.raises(BadInput, match="--balance sampling is for images of one class each"):
        ps.data.load(str(tmp_path), balanced=True, **asked)


def test_what_cannot_be_is_refused(tmp_path, user_cache):
    with pytest.raises(BadInput, match="one class alone among its training images: cat"):
        read_images(tmp_path / "one", listing(tmp_path / "one", "csv", ["cat", "", "cat", "", "", "cat"]))
    with pytest.raises(BadInput, match="has no class among its training images"):
        read_images(tmp_path / "none", listing(tmp_path / "none", "csv", [""] * 6))
    put(tmp_path / "folders", "3*cat", "3*dog")
    with pytest.raises(BadInput, match=r"--label-separator \| is for Parquet or with --labels"):
        read_images(tmp_path / "folders", Place(label_separator="|"))
    with pytest.raises(BadInput, match=r"--label-separator \| is for images in files"):
        ps.data.load("digits", label_separator="|")
    shard(tmp_path / "train.parquet", [0, 1, 2])
    with pytest.raises(BadInput, match="--label-separator parts text, and the column label is of int64"):
        read_images(tmp_path, Place(label_separator="|"))
    shard(tmp_path / "train.parquet", LISTS)
    shard(tmp_path / "test.parquet", [["fox"]])
    with pytest.raises(BadInput, match="label has 'fox', which no training image has"):
        read_images(tmp_path)
