"""What Parquet files promise by their names, their columns, and the classes of their labels."""

import os
import time
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from data.odd_folders import IMAGES, parquet, png

import potstill as ps
from potstill.data.files.image_files import read_images
from potstill.data.files.shards import find_shards
from potstill.errors import BadInput
from potstill.selection import Place

LABELS = [0, 1] * 6


def shards(root, *names):
    for name in names:
        parquet(root / name, LABELS)


WHOLE = [
    ["train-00000-of-00001.parquet", "test-00000-of-00001.parquet"],
    ["train-00000-of-00002-0123456789abcdef.parquet", "train-00001-of-00002-fedcba9876543210.parquet", "test.parquet"],
    ["default/train/0000.parquet", "default/train/0001.parquet", "default/test/0000.parquet"],
    ["plain_text/train-00000-of-00001.parquet", "plain_text/test-00000-of-00001.parquet"],
    ["data/train-00000-of-00001.parquet", "data/validation-00000-of-00001.parquet"],
    ["train/0000.parquet", "validation/0000.parquet"],
    ["train.parquet", "test.parquet"],
    ["Train.parquet", "Test.parquet"],
    ["train_0.parquet", "train_1.parquet", "val_0.parquet"],
    ["data/train/part-0.parquet", "data/test/part-0.parquet"],
    ["pets-train.parquet", "pets-test.parquet"],
    ["pets-train-00000-of-00001.parquet", "pets-test-00000-of-00001.parquet"],
    ["train-a.parquet", "train-b.parquet", "test-a.parquet"],
    ["train-1.parquet", "train-2.parquet", "test-1.parquet"],
    ["train.parquet.incomplete.txt", "train.parquet", "test.parquet"],
    ["full/partial-train/0000.parquet", "full/test/0000.parquet"],
]


@pytest.mark.parametrize("names", WHOLE, ids=lambda names: names[0])
def test_every_spelling_is_read(tmp_path, names, user_cache):  # B8
    shards(tmp_path, *names)
    files = read_images(tmp_path)
    assert files.test is not files.train
    trains = sum("train" in name.lower() and name.endswith(".parquet") for name in names)
    assert (len(files.train), len(files.test)) == (12 * trains, 12)
    assert ps.data.outline(str(tmp_path))[0] == ("0", "1")


BROKEN = [
    (["train-00000-of-00002.parquet"], "holds 1 of the 2 files .*number 1 is missing"),
    (["train-00001-of-00002.parquet"], "holds 1 of the 2 files .*number 0 is missing"),
    (["train-00000-of-00002-0123456789abcdef.parquet"], "holds 1 of the 2 files"),
    (["data/train-00000-of-00003-abc.parquet", "data/train-00002-of-00003-abd.parquet"], "number 1 is missing"),
    (["train-00000-of-00001.parquet", "test-00001-of-00002.parquet"], "1 of the 2 files test"),
    (["plain_text/train-00001-of-00002.parquet"], "number 0 is missing"),
    (["default/train/0000.parquet", "default/train/0002.parquet"], "up to number 2, but not 1"),
    (["default/train/0001.parquet"], "up to number 1, but not 0"),
    (["train/0000.parquet", "test/0001.parquet"], "up to number 1, but not 0"),
    (["train_0.parquet", "train_2.parquet"], "up to number 2, but not 1"),
    (["train-00000-of-00001-aaaaaaaa.parquet", "train-00000-of-00001-bbbbbbbb.parquet"], "shard 0 of train twice"),
    (["train-00000-of-00001.parquet", "train-00000-of-00002.parquet"], "different divisions of train"),
    (["train.parquet", "train-00000-of-00001.parquet"], "different divisions of train"),
    (["train-00000-of-00002.parquet", "train-00002-of-00002.parquet"], "number 1 is missing"),
    (["pets-train-00000-of-00002.parquet", "pets-test-00000-of-00001.parquet"], "1 of the 2 files train"),
    (["a/train.parquet", "b/train.parquet"], "holds several sets of Parquet files .a, b.; give one of them"),
]


@pytest.mark.parametrize(("names", "message"), BROKEN, ids=lambda value: value[0] if isinstance(value, list) else "")
def test_a_promise_that_is_broken(tmp_path, names, message, user_cache):  # B8
    shards(tmp_path, *names)
    with pytest.raises(BadInput, match=message):
        read_images(tmp_path)


@pytest.mark.parametrize(
    "name",
    [
        "train-00001-of-00002.parquet.incomplete",
        "test.parquet.part",
        "train/0001.parquet.crdownload",
        "train-1.parquet.abc.incomplete",
    ],
)
def test_a_download_that_was_not_finished(tmp_path, name, user_cache):  # B8
    shards(tmp_path, "train-00000-of-00001.parquet")
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(BadInput, match="is a download that has not been finished"):
        read_images(tmp_path)


def test_cifar_keeps_the_same_promises(tmp_path, user_cache):  # B8
    for name in ("train-00000-of-00002-aa.parquet", "test-00000-of-00001.parquet"):
        parquet(tmp_path / name, LABELS)
    with pytest.raises(BadInput, match="1 of the 2 files"):
        ps.data.load("cifar10", data_dir=tmp_path)


NUMBERS = [
    ([1, 2, 3] * 4, ("1", "2", "3"), None),
    ([0, 1, 2] * 4, ("0", "1", "2"), None),
    ([False, True] * 6, ("0", "1"), None),
    ([0, 1, 3] * 4, None, "label is 3, but 2 never occurs"),
    ([0, 2] * 6, None, "label is 2, but 1 never occurs"),
    ([2, 3, 4] * 4, None, r"label is 2, but 0\.\.K-1 or 1\.\.K is wanted"),
    ([0, 2**40] * 6, None, r"label is 1099511627776, but 1\.\.1099511627775 never occurs"),
    ([1, 2**62] * 6, None, "never occurs"),
    ([0, 1, -1] * 4, None, "row 2: label is -1, but must not be negative"),
    ([-(2**63), 0] * 6, None, "must not be negative"),
    ([2**40] * 12, None, "is wanted"),
]


@pytest.mark.parametrize(("labels", "classes", "message"), NUMBERS)
def test_numbers_without_names(tmp_path, labels, classes, message, user_cache):  # A5, B8
    parquet(tmp_path / "train.parquet", labels)
    start = time.monotonic()
    if message is None:
        files = read_images(tmp_path)
        assert files.classes == classes
        assert files.train.labels.unique().tolist() == list(range(len(classes)))
    else:
        with pytest.raises(BadInput, match=message):
            read_images(tmp_path)
    assert time.monotonic() - start < 10


def test_labels_from_one_on_in_both_splits(tmp_path, user_cache, capsys):  # B8
    parquet(tmp_path / "train.parquet", [1, 2, 3] * 4)
    parquet(tmp_path / "test.parquet", [3, 1])
    assert read_images(tmp_path).test.labels.tolist() == [2, 0]
    assert "the labels are 1..3, without 0: 3 classes" in capsys.readouterr().err
    parquet(tmp_path / "test.parquet", [3, 0])
    with pytest.raises(BadInput, match=r"row 1: label is 0, but must be 1\.\.3"):
        read_images(tmp_path)


def test_names_that_are_numbers_name_the_labels_from_zero_on(tmp_path, user_cache):  # B8
    parquet(tmp_path / "train.parquet", [0, 1, 2] * 4, names=["1", "2", "3"])
    parquet(tmp_path / "test.parquet", [0, 2])
    files = read_images(tmp_path)
    assert files.classes == ("1", "2", "3")
    assert files.test.labels.tolist() == [0, 2]


def test_a_class_that_is_never_trained_is_said(tmp_path, user_cache, capsys):  # B8
    parquet(tmp_path / "train.parquet", [0, 2] * 6, names=["cat", "dog", "fox", "owl"])
    parquet(tmp_path / "test.parquet", [0, 1], names=["cat", "dog", "fox", "owl"])
    assert read_images(tmp_path).classes == ("cat", "dog", "fox", "owl")
    assert "2 of 4 classes have no training image: dog, owl" in capsys.readouterr().err


def test_text_is_a_label(tmp_path, user_cache):  # C14
    parquet(tmp_path / "train.parquet", ["dog", "cat"] * 6)
    parquet(tmp_path / "test.parquet", ["dog"])
    files = read_images(tmp_path)
    assert (files.classes, files.train.labels.tolist()[:2], files.test.labels.tolist()) == (("cat", "dog"), [1, 0], [1])
    parquet(tmp_path / "test.parquet", ["fox"])
    with pytest.raises(BadInput, match="row 0: label is 'fox', which no training image has"):
        read_images(tmp_path)
    table = pyarrow.table({"image": IMAGES[:4], "class": pyarrow.array(["b", "a"] * 2).dictionary_encode()})
    pyarrow.parquet.write_table(table, tmp_path / "test.parquet")
    (tmp_path / "test.parquet").rename(tmp_path / "train.parquet")
    with pytest.raises(BadInput, match="4 images are too few"):
        read_images(tmp_path)


def columns(tmp_path, **more):
    table = {
        "label": LABELS,
        "coarse_label": [n % 3 for n in range(12)],
        "picture": IMAGES[:12],
        "thumb": [png(99)] * 12,
    }
    pyarrow.parquet.write_table(pyarrow.table({**table, **more}), tmp_path / "train.parquet")


CHOICES = [
    ({"image_column": "picture"}, 2, r"labels are in column label, not in coarse_label: --label-column chooses"),
    ({"image_column": "picture", "label_column": "coarse_label"}, 3, ""),
    ({"image_column": "thumb", "label_column": "kind"}, 2, ""),
    ({}, None, "several: picture, thumb; --image-column chooses"),
    ({"image_column": "pic"}, None, r"unknown column of .* \(--image-column\) 'pic'; did you mean picture"),
    ({"image_column": "label"}, None, "holds no encoded images"),
    (
        {"image_column": "picture", "label_column": "coarse"},
        None,
        r"\(--label-column\) 'coarse'; did you mean coarse_l",
    ),
    ({"image_column": "picture", "label_column": "weight"}, None, "is of double; labels are whole numbers or text"),
]


@pytest.mark.parametrize(("how", "classes", "message"), CHOICES)
def test_columns_are_chosen(tmp_path, how, classes, message, user_cache, capsys):  # B12, C14
    columns(tmp_path, kind=["a", "b"] * 6, weight=[0.5] * 12)
    if classes is None:
        with pytest.raises(BadInput, match=message):
            read_images(tmp_path, Place(**how))
        return
    assert len(read_images(tmp_path, Place(**how)).classes) == classes
    assert message in capsys.readouterr().err


def test_several_columns_of_numbers_lead_to_the_flag(tmp_path, user_cache):  # C14
    table = pyarrow.table({"image": IMAGES[:12], "a": LABELS, "b": LABELS})
    pyarrow.parquet.write_table(table, tmp_path / "train.parquet")
    with pytest.raises(BadInput, match=r"needs one column of labels .* --label-column chooses"):
        read_images(tmp_path)
    pyarrow.parquet.write_table(pyarrow.table({"path": ["a.jpg"], "label": ["cat"]}), tmp_path / "train.parquet")
    with pytest.raises(BadInput, match=r"needs one column of images .*give --labels .*train\.parquet"):
        read_images(tmp_path)


def test_which_split_is_measured(tmp_path, user_cache, capsys):  # B12
    for split, count in {"train": 12, "validation": 4, "test": 6, "extra": 2}.items():
        parquet(tmp_path / f"{split}.parquet", LABELS[:count])
    assert len(read_images(tmp_path).test) == 4
    told = capsys.readouterr().err
    assert "test (6 images) is not looked at; --test-split chooses" in told
    assert "extra (2 images) is not looked at" in told
    assert len(read_images(tmp_path, Place(test_split="test")).test) == 6
    assert "validation (4 images) is not looked at" in capsys.readouterr().err
    with pytest.raises(BadInput, match="unknown split .*'valid'; did you mean validation"):
        read_images(tmp_path, Place(test_split="valid"))


@pytest.mark.parametrize(
    "metadata", [b"{", b"[]", b'{"info": 3}', b'{"info": {"features": {"label": []}}}', b"\xff", b"null"]
)
def test_metadata_may_be_anything(tmp_path, metadata, user_cache):
    table = pyarrow.table({"image": IMAGES[:12], "label": LABELS}).replace_schema_metadata({b"huggingface": metadata})
    pyarrow.parquet.write_table(table, tmp_path / "train.parquet")
    assert read_images(tmp_path).classes == ("0", "1")


def test_classes_in_folders_are_no_configurations(tmp_path):
    for number in range(60):
        parquet(tmp_path / f"c{number}" / "x.parquet", [0])
    assert find_shards(tmp_path) is None


@pytest.mark.parametrize("cache", [False, True])
def test_shards_in_a_folder_whose_name_is_no_text(tmp_path, cache):
    """Names of files are bytes, and need not be UTF-8."""
    shards(tmp_path / "text", "train.parquet", "test.parquet")
    folder = (tmp_path / "text").rename(Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff")))
    data = ps.data.load(str(folder), image_size=8, cache=cache)
    assert (data.train.count, data.test.count) == (12, 12)
    assert next(iter(data.train))["images"].shape == (12, 3, 8, 8)
