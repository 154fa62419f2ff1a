"""Folders of images without labels."""

import pytest
from data.odd_folders import parquet, put, two

import potstill as ps
from potstill.cli import main
from potstill.data.checking import check
from potstill.data.files.image_files import read_images
from potstill.data.identity import of_files
from potstill.errors import BadInput
from potstill.selection import Place, Reading

NONE = Place(unlabelled=True)


def keys(images):
    return [images.key(row).decode() for row in range(len(images))]


def test_a_folder_of_any_shape_is_one_set(tmp_path, capsys):
    put(tmp_path, "3*flat", "2*deep/er/still", "a.png", "notes.txt", "@eaDir/1.png", "deep/.hidden.png")
    found = read_images(tmp_path, NONE)
    assert found.classes == ()
    names = [f"{folder}/{n}.png" for folder, count in {"deep/er/still": 2, "flat": 3}.items() for n in range(count)]
    assert keys(found.train) == ["a.png", *names]
    assert found.test is found.train
    assert sorted([*found.train_rows.tolist(), *found.test_rows.tolist()]) == list(range(6))
    said = capsys.readouterr().err
    assert "no labels; 5 training, 1 test images" in said
    assert "1 files are no images by their names and are left out: .txt (1)" in said
    assert "left out as litter" in said


@pytest.mark.parametrize("inner", ["", "/cat"])
def test_train_and_test_beside_each_other_stay_two(inner, tmp_path, capsys):
    put(tmp_path, f"5*train{inner}", f"2*val{inner}", f"3*test{inner}")
    found = read_images(tmp_path, NONE)
    assert (len(found.train), len(found.test)) == (5, 2)
    assert "test (3 images) is not looked at; --test-split chooses" in capsys.readouterr().err
    assert len(read_images(tmp_path, Place(unlabelled=True, test_split="test")).test) == 3
    put(tmp_path / "alone", "6*train")
    assert keys(read_images(tmp_path / "alone", NONE).train)[0] == "train/0.png"


@pytest.mark.parametrize("column", ["label", "anything"])
def test_parquet_needs_no_labels_and_does_not_look_at_them(column, tmp_path, user_cache):
    if column == "label":
        parquet(tmp_path / "train.parquet", [0, 1] * 5)
    else:
        parquet(tmp_path / "train.parquet", [0, 7] * 5, anything=[0.5] * 10)
    found = read_images(tmp_path, NONE)
    assert found.classes == ()
    assert (found.train.labels == -1).all()
    assert len(found.train.read(3)) > 0


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"labels": "names"}, "--labels names says where labels are, and --unlabelled that there are none"),
        ({"label_column": "x"}, "--label-column x says where labels are"),
        ({"image_column": "x"}, "--image-column x is for Parquet"),
        ({"test_split": "dev"}, "--test-split dev: .* has no train/ and so no splits"),
    ],
)
def test_what_contradicts_it_is_refused(how, message, tmp_path):
    put(tmp_path, "6*a")
    with pytest.raises(BadInput, match=message):
        read_images(tmp_path, Place(unlabelled=True, **how))
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="holds no image .* nor does any folder below it"):
        read_images(tmp_path / "empty", NONE)


def test_batches_have_no_labels_and_the_data_no_classes(tmp_path):
    two(tmp_path)
    for data in (
        ps.data.load(str(tmp_path), unlabelled=True, image_size=8, workers=0, batch_size=4),
        ps.data.load("digits", unlabelled=True),
    ):
        batch = next(iter(data.train))
        assert list(batch) == ["images", "index", "view", "size"]
        assert "labels" not in next(iter(data.test))
        assert (data.classes, data.unlabelled) == ((), True)
        assert data.described()["classes"] == []
    labelled = ps.data.load("digits")
    assert labelled.described()["digest"] != data.described()["digest"]
    assert (next(iter(labelled.train))["images"] == batch["images"]).all()
    assert ps.data.outline(ps.Training("digits", unlabelled=True))[0] == ()


@pytest.mark.parametrize("balance", ["sampling", "weights"])
def test_nothing_is_balanced_without_labels(balance, tmp_path):
    words = f"distill --student resnet8 --teacher resnet8 --data digits --unlabelled --balance {balance}"
    assert main(f"{words} --out {tmp_path}/run".split()) == 2


def test_the_same_images_without_labels_are_other_data(tmp_path):
    two(tmp_path)
    labelled, bare = read_images(tmp_path), read_images(tmp_path, NONE)
    digests = [of_files(files.sources, files.classes, "auto")() for files in (labelled, bare)]
    assert len({*digests}) == 2


def test_check_looks_at_them(tmp_path):
    put(tmp_path, "12*a", "a/copy.png")
    (tmp_path / "a" / "copy.png").write_bytes((tmp_path / "a" / "0.png").read_bytes())
    (tmp_path / "bad.png").write_bytes(b"x")
    found = check(str(tmp_path), Reading(unlabelled=True, workers=0))
    assert (found["classes"], found["table"]) == (0, [])
    kinds = [row["kind"].partition(" across")[0] for row in found["findings"]]
    assert sorted(kinds) == ["broken image", "data", "duplicates"]
    assert "bad.png" in found["wrong"][0]
