"""What a folder is taken for: said, chosen, or refused with what leads on."""

import os
import re
import unicodedata
from dataclasses import replace

import pyarrow
import pyarrow.parquet
import pytest
from data.odd_folders import parquet, put, two, write

import potstill as ps
from potstill.data.files.image_files import read_images
from potstill.data.files.names import split_word
from potstill.errors import BadInput
from potstill.selection import Place


def taken(root, how=Place()):
    files = read_images(root, how)
    names = [os.path.relpath(files.train.name(row), root) for row in range(len(files.train))]
    return files, dict(zip(names, [files.classes[label] for label in files.train.labels.tolist()], strict=True))


LITTER = [
    "__MACOSX/train/cat/._1.png",
    "train/@eaDir/1.png",
    "lost+found/1.png",
    "train/.ipynb_checkpoints/1.png",
    "train/cat/.ipynb_checkpoints/1.png",
    "train/cat/@eaDir/0.png/SYNOPHOTO_THUMB_M.jpg",
    "train/cat/thumbnails/1.png",
    "train/cat/Thumbs.db",
    "train/dog/desktop.ini",
    "train/.DS_Store",
    "train/cat/._0.png",
    "val/cat/.hidden.png",
    "$RECYCLE.BIN/1.png",
    "System Volume Information/1.png",
    "train/__MACOSX/cat/1.png",
    "val/@eaDir/1.png",
    "#recycle/1.png",
]


@pytest.mark.parametrize("litter", LITTER)
def test_litter_is_left_out_and_said(tmp_path, litter, capsys):  # B7
    two(tmp_path)
    before = taken(tmp_path)[1]
    capsys.readouterr()
    put(tmp_path, litter)
    files, now = taken(tmp_path)
    assert now == before
    assert files.classes == ("cat", "dog")
    assert len(files.test) == 4
    said = capsys.readouterr().err
    left = next(part for part in litter.split("/") if part[0] in ".@#$_" or part in said)
    assert "litter of a system, or hidden" in said
    assert ("._*" if left.startswith("._") else left) in said


def test_what_a_folder_was_taken_for_is_said_in_one_line(tmp_path, capsys):  # B7
    ps.data.load(str(two(tmp_path)), workers=0, image_size=8)
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"potstill: data {tmp_path}: 2 classes: cat, dog; 12 training, 4 test images, of train and val"


def test_long_lists_of_classes_are_shortened(tmp_path, capsys):  # B7
    for number in range(300):
        put(tmp_path, f"2*{number:03}")
    read_images(tmp_path)
    line = capsys.readouterr().err.splitlines()[-1]
    assert "300 classes: 000, 001, 002, 003, 004, 005, 006, 007, ... (300 in all); 480 training, 120 test" in line
    assert len(line) < 250


SPLITS_FOR_CLASSES = [
    ("training_set", "test_set"),
    ("train_set", "val_set"),
    ("Train Images", "Test Images"),
    ("trainset", "testset"),
    ("my-train", "my-validation"),
    ("TrainData", "EvalData"),
    ("images_train", "images_test", "images_val"),
    ("train1", "train2"),
]


@pytest.mark.parametrize("names", SPLITS_FOR_CLASSES)
@pytest.mark.parametrize("nested", [True, False])
def test_splits_are_no_classes(tmp_path, names, nested):  # B7
    for name in names:
        put(tmp_path, *([f"3*{name}/cat", f"3*{name}/dog"] if nested else [f"3*{name}"]))
    with pytest.raises(
        BadInput, match=r"look like splits, not like classes: name them train/ and val/, or .* --labels"
    ):
        read_images(tmp_path)


@pytest.mark.parametrize(
    "folders",
    [
        (
            "seg_train/seg_train/a",
            "seg_train/seg_train/b",
            "seg_test/seg_test/a",
            "seg_test/seg_test/b",
            "seg_pred/x/y",
        ),
        ("first/cat", "first/dog", "second/cat", "second/dog"),
        ("first/train/cat", "first/train/dog", "second/train/cat", "second/train/dog"),
        ("first/train/cat", "first/val/cat", "second/train/cat", "second/val/cat"),
        ("pets/train/cat", "pets/train/dog", "pets/val/cat", "pets/val/dog", "other"),
        ("train/a/cat", "train/a/dog", "train/b/cat", "train/b/dog", "val/a/cat", "val/b/cat"),
        ("2019/cat", "2019/dog", "2020/cat", "2020/dog", "2020/fox", "2021/cat", "2021/dog"),
        ("cat/train", "cat/test", "dog"),
    ],
)
def test_whole_sets_side_by_side_are_refused(tmp_path, folders):  # B7
    put(tmp_path, *(f"3*{folder}" for folder in folders))
    with pytest.raises(BadInput, match="no classes|is no class|not like classes"):
        read_images(tmp_path)


@pytest.mark.parametrize(
    ("folders", "classes"),
    [
        (("animal/cat", "animal/dog", "plant/rose"), ("animal", "plant")),
        (("cat/images", "dog/images"), ("cat", "dog")),
        (("test_tube", "cup"), ("cup", "test_tube")),
        (("cat", "dog/small", "dog/large"), ("cat", "dog")),
        (("train", "car", "bus"), ("bus", "car", "train")),
        (("Val", "Ann"), ("Ann", "Val")),
    ],
)
def test_odd_classes_stay_classes(tmp_path, folders, classes):  # B7
    put(tmp_path, *(f"4*{folder}" for folder in folders))
    assert read_images(tmp_path).classes == classes


def test_words_of_splits():
    words = ["training_set", "seg_test", "TrainImages", "val2017", "dev-kit", "strain", "latest", "vale", "contest"]
    assert [split_word(word) for word in words] == ["train", "test", "train", "test", "test", None, None, None, None]


@pytest.mark.parametrize(
    ("folders", "flag", "measured", "said"),
    [
        (["1*val/cat", "2*test/cat", "2*test/dog"], None, 1, r"test \(4 images\) is not looked at; --test-split"),
        (["1*val/cat", "2*test/cat", "2*test/dog"], "test", 4, r"val \(1 images\) is not looked at"),
        (["1*val/cat", "2*Test/cat", "2*Test/dog"], "test", 4, r"val \(1 images\) is not looked at"),
        (["1*val/cat", "3*extra/cat"], "extra/", 3, r"val \(1 images\) is not looked at"),
        (["1*val/cat", "3*extra/cat"], None, 1, r"extra \(3 images\) is not looked at"),
        (["1*val/cat", "5*test"], None, 1, r"test \(5 images\) has no labels and is left out"),
        (["5*test"], None, 2, r"test \(5 images\) has no labels and is left out"),
        (["5*test/images"], None, 2, r"test \(5 images\) has no labels and is left out"),
        (["5*val", "2*test/dog"], None, 2, r"val \(5 images\) has no labels and is left out"),
        (["1*val/cat", "6*Train/cat"], None, 1, r"Train \(6 images\) is not looked at"),
    ],
)
def test_which_split_is_measured(tmp_path, folders, flag, measured, said, capsys):  # B12, C14
    put(tmp_path, "6*train/cat", "6*train/dog", *folders)
    files = read_images(tmp_path, Place(test_split=flag))
    assert len(files.test_rows) == measured
    assert re.search(said, told := capsys.readouterr().err)
    assert f"{measured} test images" in told


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("tset", "unknown split .*'tset'; did you mean test?"),
        ("train", "is the split that is trained on"),
        ("pred", "pred"),
    ],
)
def test_splits_that_are_not_there(tmp_path, flag, message):  # B12
    two(put(tmp_path, "2*test/cat", "3*pred"))
    with pytest.raises(BadInput, match=message):
        read_images(tmp_path, Place(test_split=flag))
    (tmp_path / "train").rename(tmp_path / "elsewhere")
    with pytest.raises(BadInput, match="--test-split cat: .* no train/"):
        read_images(tmp_path / "elsewhere", Place(test_split="cat"))


def tiny_imagenet(root):
    for name in ("n01", "n02"):
        put(root, f"5*train/{name}/images", f"train/{name}/{name}_boxes.txt")
    put(root, "4*val/images", "3*test/images", "wnids.txt")
    lines = [f"{n}.png\t{'n01' if n % 2 else 'n02'}\t0\t32\t44\t62" for n in range(4)]
    write(root, "val/val_annotations.txt", "\n".join(lines) + "\n")


def test_tiny_imagenet(tmp_path, capsys):  # C14
    tiny_imagenet(tmp_path)
    files, labels = taken(tmp_path)
    assert files.classes == ("n01", "n02")
    assert labels["train/n02/images/3.png"] == "n02"
    assert files.test.labels.tolist() == [1, 0, 1, 0]
    assert files.test.name(3).endswith("val/images/3.png")
    assert re.search(r"test \(3 images\) has no labels", capsys.readouterr().err)
    write(tmp_path, "val/val_annotations.txt", "0.png\tn03\n")
    with pytest.raises(BadInput, match="'n03' is a class that the training images do not have"):
        read_images(tmp_path)


@pytest.mark.parametrize(("other", "tests"), [("test", 4), ("val", 4), (None, 2), ("Testing", 4)])
def test_splits_inside_of_classes(tmp_path, other, tests):  # C14
    put(tmp_path, *(f"6*{name}/train" for name in ("cat", "dog")))
    if other:
        put(tmp_path, *(f"2*{name}/{other}" for name in ("cat", "dog")))
    files, labels = taken(tmp_path)
    assert files.classes == ("cat", "dog")
    assert labels["dog/train/3.png"] == "dog"
    assert len(labels) == 12
    assert len(files.test_rows) == tests


def list_of(root, split=True, header="path,label,split", names="{}.png", separator=","):
    put(root, "10*pool")
    rows = [header]
    for n in range(10):
        cells = [f"pool/{names.format(n)}", ("cat", "dog")[n % 2], ("train", "test")[n > 6]][: 3 if split else 2]
        rows.append(separator.join(cells))
    return write(root, "labels.csv", "\n".join(rows))


@pytest.mark.parametrize(
    ("change", "how", "counts"),
    [
        ({}, {}, (7, 3)),
        ({"split": False, "header": "path,label"}, {}, (8, 2)),
        ({"header": "filename,class,subset"}, {}, (7, 3)),
        ({"header": "a,b,split"}, {"image_column": "a", "label_column": "b"}, (7, 3)),
        ({"header": "File Name\tSpecies\tset", "separator": "\t"}, {}, (7, 3)),
        ({"header": "\ufeffpath;label;split", "separator": ";"}, {}, (7, 3)),
        ({"names": "{}", "header": "id,breed,split"}, {}, (7, 3)),
    ],
)
def test_a_list_of_labels(tmp_path, change, how, counts, capsys):  # C14
    list_of(tmp_path, **change)
    files, labels = taken(tmp_path, Place(labels=str(tmp_path / "labels.csv"), **how))
    assert files.classes == ("cat", "dog")
    assert (labels["pool/0.png"], labels["pool/1.png"]) == ("cat", "dog")
    assert (len(files.train_rows), len(files.test_rows)) == counts
    assert "the images are in column" in capsys.readouterr().err


def test_a_list_in_parquet_and_beside_the_list(tmp_path):  # C14
    list_of(tmp_path / "data")
    cells = [line.split(",") for line in (tmp_path / "data" / "labels.csv").read_text().splitlines()]
    columns = {name: [row[at] for row in cells[1:]] for at, name in enumerate(cells[0])}
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "labels.parquet")
    assert len(taken(tmp_path / "data", Place(labels=str(tmp_path / "labels.parquet")))[1]) == 7
    put(tmp_path / "empty", "readme.txt")
    assert len(read_images(tmp_path / "empty", Place(labels=str(tmp_path / "data" / "labels.csv"))).train) == 7


def test_numbers_are_classes_in_their_order(tmp_path):  # C14
    write(
        put(tmp_path, "12*a"), "l.csv", "path,label\n" + "\n".join(f"a/{n}.png,{(2, 10, 9)[n % 3]}" for n in range(12))
    )
    assert read_images(tmp_path, Place(labels=str(tmp_path / "l.csv"))).classes == ("2", "9", "10")


BAD_LISTS = [
    ("", "is empty"),
    ("path,label", "lists no image"),
    ("a/0.png,cat\na/1.png,dog", "begins with an image: its first line has to name the columns"),
    ("foo,bar\na/0.png,cat", "has no column that is called as paths are .*--image-column names it"),
    ("path,bar\na/0.png,cat", "has no column that is called as labels are .*--label-column names it"),
    ("path,label\na/0.png,cat\na/0.png,dog\n", "a/0.png is in two classes, 'cat' and 'dog'"),
    ("path,label,split\na/0.png,cat,train\na/0.png,cat,test\n", "a/0.png is in two splits"),
    ("path,label\na/0.png,cat\na/1.png,cat\n", "has one class alone"),
    ("path,label\na/0.png,cat\na/1.png,\n", "a/1.png has no label"),
    ("path,label\nb/0.png,cat\nb/1.png,dog\n", "lists b/0.png, and others, that are not in"),
    ("path,label\na/0.png,cat\na/1.png\n", "row 3 has 1 cells, its header 2"),
    ("path,label\n,cat\n", "row 2 has no path"),
    ("path,label,split\na/0.png,cat,one\na/1.png,dog,two\n", "has the splits one, two but no train"),
    ("path,label,split\na/0.png,cat,train\na/1.png,dog,train\na/2.png,fox,val\n", "'fox' is a class that the training"),
    ("path,label\n\x00/0.png,cat\na/1.png,dog\n", "null byte|NUL"),
    ("path,label\na/0.png,caf\u00e9\na/1.png,cafe\u0301\n", "both look like 'caf"),
]


@pytest.mark.parametrize(("text", "message"), BAD_LISTS)
def test_lists_that_do_not_fit(tmp_path, text, message):  # C14
    write(put(tmp_path, "12*a"), "l.csv", text)
    with pytest.raises(BadInput, match=message):
        read_images(tmp_path, Place(labels=str(tmp_path / "l.csv")))


def test_a_list_that_is_no_text_or_no_file(tmp_path):  # C14
    (tmp_path / "l.csv").write_bytes(b"path,label\na,\xff\n")
    for name, message in {"l.csv": "no text in UTF-8", "m.csv": "is no file", "n.parquet": "no file"}.items():
        with pytest.raises(BadInput, match=message):
            read_images(tmp_path, Place(labels=str(tmp_path / name)))
    (tmp_path / "n.parquet").write_bytes(b"PAR1")
    with pytest.raises(BadInput, match="not a readable Parquet"):
        read_images(tmp_path, Place(labels=str(tmp_path / "n.parquet")))


@pytest.mark.parametrize(
    ("files", "counts", "classes"),
    [
        ([f"{name}.{n}.png" for name in ("cat", "dog") for n in range(6)], (10, 2), ("cat", "dog")),
        ([f"{name}_{n}.jpg" for name in ("great_dane", "cat") for n in range(6)], (10, 2), ("cat", "great_dane")),
        ([f"images/{n:04}_{name}.png" for name in ("frog", "bird") for n in range(6)], (10, 2), ("bird", "frog")),
        (
            [f"{split}/{name} ({n}).png" for split in ("train", "test") for name in ("cat", "dog") for n in range(3)],
            (6, 6),
            ("cat", "dog"),
        ),
    ],
)
def test_labels_in_names(tmp_path, files, counts, classes):  # C14
    put(tmp_path, *files)
    with pytest.raises(BadInput) as refused:
        read_images(tmp_path)
    if "/" not in files[0]:
        assert f"say the classes {', '.join(classes)}: to read them, give --labels names" in str(refused.value)
    found = read_images(tmp_path, Place(labels="names"))
    assert found.classes == classes
    assert (len(found.train_rows), len(found.test_rows)) == counts


def test_unlabelled_test_images_in_names(tmp_path, capsys):  # C14
    put(tmp_path, *(f"train/{name}.{n}.jpg" for name in ("cat", "dog") for n in range(6)), "test/1.jpg", "test/2.jpg")
    found = read_images(tmp_path, Place(labels="names"))
    assert len(found.train) == 12
    assert re.search(r"the split test \(2 images\) has no labels and is left out", capsys.readouterr().err)


HINTS = [
    (["train-000000.tar", "train-000001.tar"], r"2 tar shards, which are not read: unpack them"),
    (["pets.zip"], r"an archive \(pets.zip\)"),
    (["data.tar.gz"], "an archive"),
    (["a.jpg", "b.jpg", "labels.csv"], r"give --labels .*labels\.csv"),
    (["a.jpg", "b.jpg", "train.tsv"], r"give --labels .*train\.tsv"),
    (["data_batch_1", "data_batch_2", "test_batch"], "--data cifar10 --data-dir"),
    (["train.tfrecord"], "TFRecords, which are not read"),
    (["images.h5"], "an HDF5 file"),
    (["train-images-idx3-ubyte"], "IDX files"),
    (["x.npz"], "numpy arrays"),
    (["data-00000-of-00001.arrow"], "Arrow files"),
    (["a.jpg"], "a.jpg has to lie in it"),
    ([], "wanted are train/CLASS"),
]


@pytest.mark.parametrize(("files", "message"), HINTS)
@pytest.mark.parametrize("inside", ["", "train"])
def test_hints_lead_on(tmp_path, files, message, inside):  # C14, D
    (tmp_path / inside).mkdir(exist_ok=True)
    put(tmp_path / inside, *files)
    with pytest.raises(BadInput, match=f"holds no folder for each class; .*{message}"):
        read_images(tmp_path)


SAME_LOOKS = [
    (unicodedata.normalize("NFC", "café"), unicodedata.normalize("NFD", "café")),
    ("Ångström", unicodedata.normalize("NFD", "Ångström")),
    ("cat", "cat "),
    ("cat", "cat\u200b"),
    ("big cat", "big\u00a0cat"),
    ("cat", "\u2060cat"),
]


@pytest.mark.parametrize("names", SAME_LOOKS)
def test_two_spellings_of_one_class_are_refused_with_their_bytes(tmp_path, names):  # D
    put(tmp_path, *(f"4*{name}" for name in names))
    if len(list(tmp_path.iterdir())) < 2:
        pytest.skip("this file system has no such names")
    with pytest.raises(BadInput, match="both look like") as error:
        read_images(tmp_path)
    for name in names:
        assert os.fsencode(name).hex(" ") in str(error.value)


@pytest.mark.parametrize("names", SAME_LOOKS)
def test_a_spelling_of_the_training_images_class_is_taken_for_it(tmp_path, names, capsys):  # D
    put(tmp_path, f"4*train/{names[0]}", "4*train/other", f"2*val/{names[1]}", "1*val/other")
    files = read_images(tmp_path)
    assert sorted(files.test.labels.tolist()) == sorted(
        [files.classes.index(names[0])] * 2 + [files.classes.index("other")]
    )
    assert "is spelled in other bytes" in capsys.readouterr().err


def test_images_outside_of_classes_are_said(tmp_path, capsys):  # B7
    put(two(tmp_path), "train/loose.png", "train/more.png")
    assert len(read_images(tmp_path).train) == 12
    assert "2 images lie in no class's folder and are left out: loose.png, more.png" in capsys.readouterr().err


def test_columns_are_for_lists(tmp_path):
    for flag in ("image_column", "label_column"):
        with pytest.raises(BadInput, match="is for Parquet or with --labels"):
            read_images(two(tmp_path), replace(Place(), **{flag: "x"}))
        with pytest.raises(BadInput, match="is for images in files, not for digits"):
            ps.data.load("digits", **{flag: "x"})
    assert ps.data.outline(ps.Training(data=str(tmp_path), image_size=8)) == (("cat", "dog"), (3, 8, 8))


def test_links_in_a_circle(tmp_path):
    two(tmp_path)
    (tmp_path / "train" / "cat" / "x").symlink_to("../dog")
    (tmp_path / "train" / "dog" / "y").symlink_to("../cat")
    with pytest.raises(BadInput, match="is a link to a folder that it lies in itself"):
        read_images(tmp_path)


def test_parquet_with_no_test_labels_is_left_out(tmp_path, capsys, user_cache):  # B12
    parquet(tmp_path / "train-00000-of-00001.parquet", [0, 1] * 6, names=["cat", "dog"])
    parquet(tmp_path / "test-00000-of-00001.parquet", [-1] * 3, names=["cat", "dog"])
    assert len(read_images(tmp_path).test_rows) == 2
    assert re.search(r"test \(3 images\) has no labels and is left out", capsys.readouterr().err)
    with pytest.raises(BadInput, match="must not be negative"):
        read_images(tmp_path, Place(test_split="test"))
