"""Image sets that `datasets` has saved to disk, written by the library itself."""

import io
import json
import shutil

import datasets
import numpy as np
import pytest
from PIL import Image

import potstill as ps
from potstill.data.files.layouts import take
from potstill.errors import BadInput
from potstill.selection import Place

CLASSES = ["cat", "dog", "fox"]


def png(number):
    pixels = np.random.default_rng(number).integers(0, 255, (12, 10 + number % 3, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png")
    return file.getvalue()


def split(numbers, labels=None, **features):
    kinds = {"image": datasets.Image(), "label": datasets.ClassLabel(names=CLASSES), **features}
    rows = {"image": [{"bytes": png(n), "path": None} for n in numbers], "label": labels or [n % 3 for n in numbers]}
    return datasets.Dataset.from_dict(rows, features=datasets.Features(kinds))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    shuffled = split(range(12)).select(range(11, -1, -1))  # a view of other rows, which saving makes whole
    datasets.DatasetDict({"train": shuffled, "test": split(range(12, 18))}).save_to_disk(
        folder / "two", num_shards={"train": 3, "test": 1}
    )
    split(range(10)).save_to_disk(folder / "one")
    return folder


def test_every_image_and_label_is_the_one_that_was_saved(saved):
    taken = take(saved / "two", Place())
    assert (taken.classes, taken.splits) == (tuple(CLASSES), ("train", "test"))
    for images, numbers in ((taken.train, range(11, -1, -1)), (taken.test, range(12, 18))):
        assert [images.read(row) for row in range(len(images))] == [png(number) for number in numbers]
        assert images.labels.tolist() == [number % 3 for number in numbers]
    assert taken.train.name(0).endswith("two/train/data-00000-of-00003.arrow, row 0")


def test_one_without_splits_is_read_as_any_other_folder(saved, capsys):
    data = ps.data.load(f"hf-data:{saved / 'one'}", batch_size=4, image_size=8, workers=0)
    assert (data.classes, data.train.count, data.test.count) == (tuple(CLASSES), 8, 2)
    assert data.example()["images"].shape == (4, 3, 8, 8)
    assert "3 classes: cat, dog, fox; 8 training, 2 test images" in capsys.readouterr().err
    assert ps.data.load(str(saved / "one"), image_size=8, workers=0).classes == data.classes


def test_labels_as_text_and_columns_of_other_names(tmp_path):
    rows = {"png": [{"bytes": png(n), "path": None} for n in range(4)], "kind": ["b", "a", "a", "b"], "label": [0] * 4}
    kinds = {"png": datasets.Image(), "kind": datasets.Value("string"), "label": datasets.Value("int64")}
    datasets.Dataset.from_dict(rows, features=datasets.Features(kinds)).save_to_disk(tmp_path)
    taken = take(tmp_path, Place(label_column="kind"))
    assert (taken.classes, taken.train.labels.tolist()) == (("a", "b"), [1, 0, 0, 1])
    with pytest.raises(BadInput, match="unknown column of .*data-00000-of-00001.arrow .* 'knd'; did you mean kind"):
        take(tmp_path, Place(label_column="knd"))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "dataset_dict.json").write_text("{"), "dataset_dict.json cannot be read"),
        (lambda folder: (folder / "dataset_dict.json").write_text("[1]"), "is damaged: it holds no object"),
        (lambda folder: (folder / "dataset_dict.json").write_text('{"splits": [3]}'), "names no splits"),
        (lambda folder: (folder / "train/state.json").unlink(), "train/state.json cannot be read"),
        (lambda folder: (folder / "train/state.json").write_text("{}"), "state.json names no files"),
        (lambda folder: (folder / "train/state.json").write_text('{"_data_files": [3]}'), "state.json names no files"),
        (lambda folder: (folder / "train/data-00001-of-00003.arrow").unlink(), "data-00001-of-00003.arrow is missing"),
        (
            lambda folder: (folder / "train/data-00001-of-00003.arrow").write_bytes(b"x" * 99),
            "data-00001-of-00003.arrow is not a readable Arrow file of images",
        ),
    ],
)
def test_what_is_damaged_is_named(saved, tmp_path, damage, message):
    folder = shutil.copytree(saved / "two", tmp_path / "two")
    damage(folder)
    with pytest.raises(BadInput, match=message) as error:
        take(folder, Place())
    assert "\n" not in str(error.value)


def test_a_file_that_is_named_elsewhere_is_looked_for_here(saved, tmp_path):
    """What a state file says is no way out of the folder."""
    folder = shutil.copytree(saved / "two", tmp_path / "two")
    state = folder / "train" / "state.json"
    content = json.loads(state.read_text())
    content["_data_files"][0]["filename"] = "../../../etc/passwd"
    state.write_text(json.dumps(content))
    with pytest.raises(BadInput, match="train/passwd is missing"):
        take(folder, Place())


@pytest.mark.parametrize("name", ["hf-data:", "hf-data:mnist", "hf-data:/nowhere", "hf-data:a/b:c:d"])
def test_the_form_of_a_name(name):
    with pytest.raises(BadInput, match="the form is hf-data:ORG/NAME, or hf-data:FOLDER"):
        ps.data.load(name)
