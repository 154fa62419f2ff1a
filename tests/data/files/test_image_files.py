"""A folder of images, in each of its layouts; on real photographs where they are, and on drawn ones."""

import json
import os
import shutil

import pyarrow
import pyarrow.parquet
import pytest
import torch

import potstill as ps
from potstill.data.files.decoding import decode
from potstill.data.files.folder import Folder
from potstill.data.files.hub import Hub
from potstill.data.files.image_files import read_images
from potstill.errors import BadInput


def test_train_and_val_folders(picture_folder, capsys):
    files = read_images(picture_folder)
    assert files.classes == ("blue", "green", "red")
    assert files.train.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert files.test.labels.tolist() == [0, 1, 2]
    assert files.train.name(4) == str(picture_folder / "train" / "green" / "0.png")
    assert len(files.train_rows) == 12
    for row in range(12):  # a picture's colour is its class
        colour = decode(files.train.read(row)).reshape(-1, 3).mean(0).argmax()
        assert ("red", "green", "blue")[colour] == files.classes[files.train.labels[row]]
    counts = "3 classes: blue, green, red; 12 training, 3 test images, of train and val"
    assert capsys.readouterr().err == f"potstill: data {picture_folder}: {counts}\n"


def test_other_names_of_the_splits(picture_folder):
    (picture_folder / "train").rename(picture_folder / "training")
    (picture_folder / "val").rename(picture_folder / "test")
    files = read_images(picture_folder)
    assert (len(files.train), len(files.test)) == (12, 3)


def test_the_splits_in_capitals(picture_folder):
    (picture_folder / "train").rename(picture_folder / "Training")
    (picture_folder / "val").rename(picture_folder / "Testing")
    assert read_images(picture_folder).classes == ("blue", "green", "red")
    assert ps.data.outline(str(picture_folder))[0] == ("blue", "green", "red")


def test_classes_alone_keep_a_fifth_for_testing(picture_folder, capsys):
    files = read_images(picture_folder / "train")
    rows = torch.cat([files.train_rows, files.test_rows])
    assert sorted(rows.tolist()) == list(range(12))
    assert len(files.test_rows) == 2
    assert "2 of its 12 are kept back" in capsys.readouterr().err
    again = read_images(picture_folder / "train")
    assert torch.equal(again.test_rows, files.test_rows)


def test_what_is_kept_back_does_not_depend_on_where_the_folder_lies(picture_folder, tmp_path):
    before = read_images(picture_folder / "train").test_rows
    shutil.move(picture_folder / "train", tmp_path / "elsewhere")
    assert torch.equal(read_images(tmp_path / "elsewhere").test_rows, before)


def test_files_deeper_in_a_class_and_hidden_ones(picture_folder):
    red = picture_folder / "train" / "red"
    (red / "more").mkdir()
    (red / "3.png").rename(red / "more" / "3.png")
    (red / ".hidden.png").write_bytes(b"")
    (red / ".cache").mkdir()
    (red / ".cache" / "4.png").write_bytes(b"")
    files = Folder(picture_folder / "train")
    assert [files.name(row).rpartition("red/")[2] for row in range(8, 12)] == ["0.png", "1.png", "2.png", "more/3.png"]


def test_names_that_are_no_utf8(picture_folder, capsys):
    red = picture_folder / "train" / "red"
    try:
        (red / "3.png").rename(os.fsdecode(os.fsencode(red) + b"/caf\xe9.png"))
    except OSError:
        pytest.skip("this file system has no such names")
    files = read_images(picture_folder / "train")
    assert os.fsencode(files.train.name(11)).endswith(b"red/caf\xe9.png")
    assert decode(files.train.read(11)).shape[2] == 3
    assert len(files.train.stamp()) == 64


def test_a_link_to_nothing_is_an_image_that_cannot_be_read(picture_folder):
    (picture_folder / "train" / "red" / "4.png").symlink_to(picture_folder / "nothing.png")
    files = Folder(picture_folder / "train")
    before = files.stamp()
    shutil.copy(files.name(0), picture_folder / "nothing.png")
    assert files.stamp() != before


def test_files_that_are_no_images_are_counted(picture_folder, capsys):
    (picture_folder / "train" / "red" / "notes.txt").write_text("x")
    assert len(read_images(picture_folder).train) == 12
    assert "1 files are no images by their names" in (told := capsys.readouterr().err)
    assert "red/notes.txt" in told


def test_the_stamp_changes_with_a_file(picture_folder):
    before = Folder(picture_folder / "train").stamp()
    assert Folder(picture_folder / "train").stamp() == before
    path = picture_folder / "train" / "red" / "0.png"
    path.write_bytes(path.read_bytes() + b" ")
    assert Folder(picture_folder / "train").stamp() != before


def too_deep(folder):
    """Folders in folders, to where no path leads any more: as one that may not be read, but for root too."""
    at = os.open(folder, os.O_DIRECTORY)
    for _ in range(20):
        os.mkdir("f" * 250, dir_fd=at)
        inner = os.open("f" * 250, os.O_DIRECTORY, dir_fd=at)
        os.close(at)
        at = inner
    os.close(at)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda root: (root / "val" / "red").rename(root / "val" / "redd"), "val/redd is a class .* did you mean red?"),
        (lambda root: (root / "train" / "yellow").mkdir(), "train/yellow holds no image"),
        (lambda root: shutil.rmtree(root / "train"), "has val/ but no train/"),
        (lambda root: shutil.rmtree(root), "does not exist"),
        (lambda root: (root / "train" / "red" / "up").symlink_to(".."), "red/up is a link to a folder that it lies in"),
        (lambda root: too_deep(root / "train" / "red"), "cannot be read: File name too long"),
        (
            lambda root: [shutil.rmtree(root / "train" / name) for name in ("red", "blue")],
            "one class alone; is .*green",
        ),
    ],
)
def test_folders_that_do_not_fit(picture_folder, change, message):
    change(picture_folder)
    with pytest.raises(BadInput, match=message):
        read_images(picture_folder)


def test_images_without_a_folder_for_their_class(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"")
    with pytest.raises(BadInput, match=r"holds no folder for each class; a\.jpg has to lie in it"):
        read_images(tmp_path)


def write_parquet(folder, file, files, rows, label="label", names=None):
    content = [{"bytes": files.read(row), "path": files.name(row)} for row in rows]
    labels = [int(files.labels[row]) for row in rows]
    feature = {"info": {"features": {label: {"_type": "ClassLabel", "names": names}}}} if names else {}
    table = pyarrow.table({"image": content, label: labels})
    pyarrow.parquet.write_table(
        table.replace_schema_metadata({"huggingface": json.dumps(feature)}), folder / file, row_group_size=3
    )


def test_parquet_holds_what_the_folder_holds(picture_folder, tmp_path, user_cache):
    train, test = Folder(picture_folder / "train"), Folder(picture_folder / "val")
    write_parquet(tmp_path, "train-00000-of-00002.parquet", train, range(5), names=["blue", "green", "red"])
    write_parquet(tmp_path, "train-00001-of-00002.parquet", train, range(5, 12), names=["blue", "green", "red"])
    write_parquet(tmp_path, "validation-00000-of-00001.parquet", test, range(3), names=["blue", "green", "red"])
    files = read_images(tmp_path)
    assert files.classes == ("blue", "green", "red")
    assert [files.train.read(row) for row in range(12)] == [train.read(row) for row in range(12)]
    assert torch.equal(files.train.labels, train.labels)
    assert len(files.test) == 3
    assert files.train.name(6) == f"{tmp_path / 'train-00001-of-00002.parquet'}, row 1"
    assert len(list((user_cache / "potstill" / "encoded").glob("*.arrow"))) == 2


def test_parquet_is_copied_once_and_again_when_it_changes(picture_folder, tmp_path, user_cache, capsys):
    train = Folder(picture_folder / "train")
    shard = tmp_path / "train.parquet"
    write_parquet(tmp_path, shard.name, train, range(12))
    assert Hub([shard]).classes == ("0", "1", "2")
    assert "copying the images" in capsys.readouterr().err
    Hub([shard])
    assert capsys.readouterr().err == ""
    write_parquet(tmp_path, shard.name, train, range(11))
    assert len(Hub([shard])) == 11
    assert "copying the images" in capsys.readouterr().err


def test_the_label_column_of_other_sets(picture_folder, tmp_path, user_cache):
    write_parquet(tmp_path, "train.parquet", Folder(picture_folder / "train"), range(12), label="scene")
    assert Hub([tmp_path / "train.parquet"]).labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4


def test_parquet_that_does_not_fit(picture_folder, tmp_path, user_cache):
    train = Folder(picture_folder / "train")
    write_parquet(tmp_path, "train.parquet", train, range(12), names=["blue", "green"])
    with pytest.raises(BadInput, match=r"train\.parquet, row 8: label is 2, but must be 0\.\.1"):
        Hub([tmp_path / "train.parquet"])
    pyarrow.parquet.write_table(pyarrow.table({"text": ["a"], "label": [0]}), tmp_path / "train.parquet")
    with pytest.raises(BadInput, match="needs one column of images"):
        Hub([tmp_path / "train.parquet"])
    (tmp_path / "train.parquet").write_bytes(b"PAR1")
    with pytest.raises(BadInput, match="not a readable Parquet file"):
        Hub([tmp_path / "train.parquet"])
    pyarrow.parquet.write_table(pyarrow.table({"text": ["a"]}), tmp_path / "other.parquet")
    (tmp_path / "train.parquet").rename(tmp_path / "more.parquet")
    with pytest.raises(BadInput, match=r"has more, other but no train-\*\.parquet"):
        read_images(tmp_path)


def test_the_test_images_have_the_training_images_classes(picture_folder, tmp_path, user_cache):
    train, test = Folder(picture_folder / "train"), Folder(picture_folder / "val")
    write_parquet(tmp_path, "train.parquet", train, range(12), names=["blue", "green", "red"])
    write_parquet(tmp_path, "test.parquet", test, range(3), names=["red", "green", "blue"])
    with pytest.raises(BadInput, match=r"test\.parquet names other classes than the training images, or in another"):
        read_images(tmp_path)
    write_parquet(tmp_path, "train.parquet", train, range(12))
    assert read_images(tmp_path).classes == ("0", "1", "2")


def test_parquet_without_labels(picture_folder, tmp_path, user_cache):
    train = Folder(picture_folder / "train")
    train.labels[:] = -1  # as the Hub has ImageNet's test images
    write_parquet(tmp_path, "test.parquet", train, range(12))
    with pytest.raises(BadInput, match=r"row 0: label is -1, but must not be negative; files .* have to lie elsewhere"):
        Hub([tmp_path / "test.parquet"])


def test_a_damaged_shard_or_copy_is_named(picture_folder, tmp_path, user_cache):
    shard = tmp_path / "train.parquet"
    write_parquet(tmp_path, shard.name, Folder(picture_folder / "train"), range(12))
    copy = Hub([shard]).file
    copy.write_bytes(copy.read_bytes()[:1000])
    with pytest.raises(BadInput, match=r"\.arrow is damaged .*; delete it, and it is made again"):
        Hub([shard])
    content = bytearray(shard.read_bytes())
    content[4:3000] = bytes(2996)
    shard.write_bytes(content)
    with pytest.raises(BadInput, match=r"train\.parquet is not a readable Parquet file of images"):
        Hub([shard])


def test_the_sample_of_imagenet(shared_data, user_cache, capsys):
    files = read_images(shared_data / "imagenet_sample")
    assert len(files.classes) == 1000
    assert files.classes[:2] == ("tench", "goldfish")
    assert (len(files.train_rows), len(files.test_rows)) == (400, 100)
    assert files.train.labels.unique().numel() == 500  # one image of every second class
    assert decode(files.train.read(499)).shape[2] == 3


def test_data_by_name(picture_folder, tmp_path, monkeypatch):
    monkeypatch.delenv("POTSTILL_DATA", raising=False)
    with pytest.raises(BadInput, match="imagenet needs --data-dir"):
        ps.data.load("imagenet")
    with pytest.raises(BadInput, match="unknown data set 'imagenett'; did you mean imagenet?"):
        ps.data.load("imagenett")
    with pytest.raises(BadInput, match="the data folder './nowhere' does not exist"):
        ps.data.load("./nowhere")
    with pytest.raises(BadInput, match=r"0\.png is a file, not a folder of images"):
        ps.data.load(str(picture_folder / "train" / "red" / "0.png"))
    with pytest.raises(BadInput, match="--image-size must be 1 or more, not 0"):
        ps.data.load(str(picture_folder), image_size=0, workers=0)
    with pytest.raises(BadInput, match="is for data sets with a name"):
        ps.data.load(str(picture_folder), data_dir=tmp_path)
    with pytest.raises(BadInput, match="those of digits have 8 pixels"):
        ps.data.load("digits", image_size=32)
    with pytest.raises(BadInput, match="--border is 'mirror'"):
        ps.data.load(str(picture_folder), border="mirror")
    picture_folder.rename(tmp_path / "imagenet")
    for data_dir in (tmp_path, tmp_path / "imagenet"):
        data = ps.data.load("imagenet", data_dir=data_dir, image_size=8, workers=0)
        assert (data.classes, data.shape) == (("blue", "green", "red"), (3, 8, 8))
        assert data.mean == (0.485, 0.456, 0.406)
    assert ps.data.outline("imagenet", tmp_path, 8) == (data.classes, data.shape)
