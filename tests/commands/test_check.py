"""``potstill check`` and training agree on what is sound, over many odd folders."""

import io
import json
import os
import shutil

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from data.odd_folders import IMAGES, bytes_in_a_name, parquet, png, put, two, write
from PIL import Image

from potstill.cli import main
from potstill.commands import check
from potstill.data.files import facts
from potstill.errors import BadInput
from potstill.selection import Reading


def replaced(root, image, content):
    two(root)
    (root / image).unlink()
    (root / image).write_bytes(content)


def listed(root, text):
    put(root, "10*pool")
    write(root, "labels.csv", text)


PAIRS = "".join(f"pool/{n}.png,{'cat' if n % 2 else 'dog'}\n" for n in range(10))
SOUND = {
    "the usual": two,
    "classes alone": lambda root: put(root, "6*cat", "6*dog"),
    "splits in classes": lambda root: put(root, *(f"5*{n}/{s}" for n in ("cat", "dog") for s in ("train", "test"))),
    "litter": lambda root: put(two(root), "train/.DS_Store", "__MACOSX/x/._0.png", "train/cat/Thumbs.db"),
    "a flat test folder": lambda root: put(root, "6*train/cat", "6*train/dog", "4*test"),
    "val and test": lambda root: put(two(root), "2*test/cat"),
    "duplicates": lambda root: (two(root) / "val/cat/0.png").write_bytes((root / "train/dog/0.png").read_bytes()),
    "notes": lambda root: put(two(root), "train/cat/notes.txt", "readme.md"),
    "deep": lambda root: put(root, "6*train/cat/a/b", "6*train/dog", "1*val/cat"),
    "a name of bytes": bytes_in_a_name,
    "a missing class": lambda root: shutil.rmtree(two(root) / "val" / "cat"),
    "odd names": lambda root: put(root, "6*train/[bold]a", "6*train/=cmd()", "1*val/[bold]a"),
    "a long image": lambda root: replaced(root, "train/cat/0.png", png(1, (2, 300, 3))),
    "one pixel": lambda root: replaced(root, "train/cat/0.png", png(1, (1, 1, 3))),
    "12 bits": lambda root: replaced(root, "train/cat/0.png", deep()),
    "parquet": lambda root: parquet(root / "train.parquet", [0, 1] * 6),
    "parquet from 1 on": lambda root: parquet(root / "train-0.parquet", [1, 2] * 6),
    "parquet of the Hub": lambda root: parquet(root / "default/train/0000.parquet", [0, 1] * 6, names=["a", "b", "c"]),
    "text in parquet": lambda root: parquet(root / "train.parquet", ["x", "y"] * 6),
    "a class called train": lambda root: put(root, "4*train", "4*car", "4*bus"),
}
FAULTY = {
    "nothing": lambda root: root.mkdir(),
    "a class without images": lambda root: (two(root) / "train" / "fox").mkdir(),
    "one class": lambda root: put(root, "6*train/cat"),
    "sets side by side": lambda root: put(root, "3*training_set/cat", "3*training_set/dog", "3*test_set/cat"),
    "no train": lambda root: put(root, "6*val/cat", "6*val/dog"),
    "another class in val": lambda root: put(two(root), "1*val/fox"),
    "two spellings": lambda root: put(root, "4*caf\u00e9", "4*cafe\u0301"),
    "tar shards": lambda root: put(root, "train-0000.tar", "train-0001.tar"),
    "images alone": lambda root: put(root, "cat.1.jpg", "cat.2.jpg", "dog.1.jpg", "dog.2.jpg"),
    "a broken image": lambda root: replaced(root, "train/cat/0.png", b"no image"),
    "a broken test image": lambda root: replaced(root, "val/cat/0.png", IMAGES[0][:100]),
    "an empty image": lambda root: replaced(root, "train/cat/0.png", b""),
    "PostScript": lambda root: replaced(root, "train/cat/0.png", b"%!PS-Adobe-3.0 EPSF-3.0\n"),
    "a link to nothing": lambda root: [two(root), (root / "train/cat/9.png").symlink_to("nowhere")],
    "a pipe": lambda root: [two(root), os.mkfifo(root / "train/cat/9.png")],
    "a device": lambda root: [two(root), (root / "train/cat/9.png").symlink_to("/dev/zero")],
    "a missing shard": lambda root: parquet(root / "train-00000-of-00002.parquet", [0, 1] * 6),
    "a gap": lambda root: parquet(root / "train.parquet", [0, 2] * 6),
    "a large label": lambda root: parquet(root / "train.parquet", [0, 2**40] * 6),
    "no parquet": lambda root: write(root, "train.parquet", "x"),
    "two columns": lambda root: parquet(root / "train.parquet", [0, 1] * 6, thumb=IMAGES[:12]),
    "too few": lambda root: put(root, "2*cat", "2*dog"),
    "a circle": lambda root: (two(root) / "train/cat/up").symlink_to(".."),
}


def deep():
    buffer = io.BytesIO()
    Image.fromarray(np.full((9, 9), 4000, np.uint16)).save(buffer, "png")
    return buffer.getvalue()


def train(root, out, *more):
    usual = ["--epochs", "1", "--batch-size", "6", "--lr", "0.001", "--image-size", "8", "--workers", "0"]
    return main(["supervised", "--network", "resnet8", "--data", str(root), *usual, "--out", str(out), *more])


@pytest.mark.parametrize("name", SOUND)
def test_what_is_called_sound_trains(name, tmp_path, capsys, user_cache):
    root = tmp_path / "data"
    root.mkdir()
    SOUND[name](root)
    assert main(["check", str(root), "--json", "--workers", "0"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["wrong"] == []
    assert train(root, tmp_path / "run") == 0
    assert result["taken for"] in capsys.readouterr().err
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    counts = [sum(row[split] for row in result["table"]) for split in ("train", "test")]
    assert counts == [config["data"]["images"][split] for split in ("train", "test")]
    assert main(["check", str(root), "--workers", "0"]) == 0
    assert "train" in capsys.readouterr().out


@pytest.mark.parametrize("name", FAULTY)
def test_what_is_called_faulty_is_refused_for_the_same_reason(name, tmp_path, capsys, user_cache):
    root = tmp_path / "data"
    if name != "nothing":
        root.mkdir()
    FAULTY[name](root)
    assert main(["check", str(root), "--json", "--workers", "0"]) == 2
    captured = capsys.readouterr()
    wrong = json.loads(captured.out)["wrong"]
    assert f"faults found: {len(wrong)}" in captured.err
    assert train(root, tmp_path / "run") == 2
    assert wrong[0] in capsys.readouterr().err
    assert main(["check", str(root), "--workers", "0"]) == 2


@pytest.mark.parametrize("workers", ["0", "2"])
def test_all_broken_images_are_named(tmp_path, capsys, workers, monkeypatch):  # C9
    monkeypatch.setattr(facts, "FEW", 5)
    root = two(tmp_path)
    broken = [root / "train/cat/1.png", root / "train/dog/5.png", root / "val/dog/0.png"]
    for number, path in enumerate(broken):
        path.write_bytes([b"", b"no image", b"%!PS"][number])
    assert main(["check", str(root), "--json", "--workers", workers]) == 2
    result = json.loads(capsys.readouterr().out)
    found = [row for row in result["findings"] if row["kind"] == "broken image"]
    assert [row["where"] for row in found] == [str(path) for path in broken]
    assert ["empty" in found[0]["what"], "identify" in found[1]["what"], "PostScript" in found[2]["what"]] == [True] * 3
    assert [row["broken"] for row in result["splits"]] == [2, 1]
    assert main(["check", str(root), "--on-bad-image", "skip", "--workers", workers]) == 0
    assert train(root, tmp_path / "run", "--on-bad-image", "skip") == 0


def test_a_run_that_a_broken_image_ended_goes_on_without_it(tmp_path, capsys):  # C9
    root = two(tmp_path / "data")
    whole = tmp_path / "whole"
    (root / "train/cat/3.png").write_bytes(b"no image")
    assert train(root, tmp_path / "run") == 2
    assert "--on-bad-image skip leaves such images out" in capsys.readouterr().err
    assert train(root, tmp_path / "run", "--on-bad-image", "skip") == 0
    assert train(root, whole, "--on-bad-image", "skip") == 0
    files = [(folder / "student.safetensors").read_bytes() for folder in (whole, tmp_path / "run")]
    assert files[0] == files[1]


def test_images_that_cannot_be_read_alone_stop_a_run_that_skips(tmp_path, capsys):  # C9
    root = two(tmp_path / "data")
    for path in root.glob("val/*/*.png"):
        path.write_bytes(b"")
    assert main(["check", str(root), "--on-bad-image", "skip", "--json", "--workers", "0"]) == 2
    assert json.loads(capsys.readouterr().out)["wrong"] == ["test none of the 4 images can be read"]
    assert train(root, tmp_path / "run", "--on-bad-image", "skip") == 2
    assert "none of the 4 images can be read" in capsys.readouterr().err


def kinds(root, **more):
    return {(row["kind"], row["where"], row["what"]) for row in check(str(root), **more)["findings"] if row["where"]}


def test_duplicates(tmp_path, user_cache):
    root = two(tmp_path)
    (root / "train/cat/1.png").write_bytes((root / "train/cat/0.png").read_bytes())
    (root / "val/dog/0.png").write_bytes((root / "train/dog/0.png").read_bytes())
    (root / "train/dog/2.png").write_bytes((root / "train/cat/2.png").read_bytes())
    with Image.open(root / "train/dog/4.png") as picture:
        picture.save(root / "train/dog/5.png", compress_level=0)

    def pair(*names):
        return ", ".join(str(root / name) for name in names)

    found = {row[1]: row for row in kinds(root)}
    assert found[pair("train/cat/0.png", "train/cat/1.png")][::2] == ("duplicates", "2 equal files in train")
    across = found[pair("train/dog/0.png", "val/dog/0.png")]
    assert across[::2] == ("duplicates across splits", "2 equal files in train and test")
    conflict = found[pair("train/cat/2.png", "train/dog/2.png")]
    assert conflict[::2] == ("duplicates of several classes", "2 equal files in train, of the classes cat, dog")
    alike = found[pair("train/dog/4.png", "train/dog/5.png")]
    assert alike[::2] == ("duplicates", "2 images of equal pixels in train")
    assert len(found) == 4


def test_a_list_of_labels_and_a_split(tmp_path, capsys):
    listed(tmp_path, "path,label\n" + PAIRS)
    words = [str(tmp_path), "--labels", str(tmp_path / "labels.csv"), "--workers", "0"]
    assert main(["check", *words, "--json"]) == 0
    counts = [(row["class"], row["train"] + row["test"]) for row in json.loads(capsys.readouterr().out)["table"]]
    assert counts == [("cat", 5), ("dog", 5)]
    assert train(tmp_path, tmp_path / "run", *words[1:3]) == 0
    arguments = json.loads((tmp_path / "run" / "config.json").read_text())["arguments"]
    assert arguments["labels"] == str(tmp_path / "labels.csv")
    capsys.readouterr()
    put(tmp_path / "b", "6*train/cat", "6*train/dog", "1*val/cat", "3*test/dog")
    assert main(["check", str(tmp_path / "b"), "--test-split", "test", "--json"]) == 0
    assert [row["test"] for row in json.loads(capsys.readouterr().out)["table"]] == [0, 3]


def test_no_images_are_duplicates_of_broken_ones(tmp_path, user_cache):
    root = two(tmp_path)
    for name in ("train/cat/0.png", "train/dog/0.png"):
        (root / name).write_bytes(b"")
    assert {kind for kind, _, _ in kinds(root)} == {"broken image"}


def test_data_in_memory(tmp_path, capsys, user_cache):
    assert main(["check", "digits", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["taken for"].endswith("1000 training, 797 test images")
    assert [row["train"] for row in result["table"]] == [99, 102, 100, 104, 98, 100, 101, 99, 98, 99]
    images = [png(number, (32, 32, 3)) for number in (0, 1, 2, 0)]
    for split, rows in {"train": images, "test": images[:1]}.items():
        table = pyarrow.table({"img": [{"bytes": row} for row in rows], "label": list(range(len(rows)))})
        pyarrow.parquet.write_table(table, tmp_path / f"{split}-00000-of-00001.parquet")
    assert main(["check", "cifar10", "--data-dir", str(tmp_path), "--json"]) == 0
    findings = json.loads(capsys.readouterr().out)["findings"]
    assert [row["what"] for row in findings if row["kind"] == "duplicates of several classes"] == [
        "3 images of equal pixels in train and test, of the classes airplane, cat"
    ]
    assert "class without images" in {row["kind"] for row in findings}


def test_data_that_are_not_there(capsys):
    assert main(["check", "cifar11"]) == 2
    assert "did you mean cifar10" in capsys.readouterr().err
    assert main(["check", "./nowhere"]) == 2
    assert "does not exist" in capsys.readouterr().err
    with pytest.raises(BadInput, match="is for data sets with a name"):
        check("tests", reading=Reading(data_dir="x"))


def test_sizes_and_modes(tmp_path, user_cache):
    root = put(tmp_path, "6*cat", "6*dog")
    for number in range(5):
        (root / "cat" / f"{number}.png").write_bytes(png(number, (100 + number, 120, 3)))
        (root / "dog" / f"{number}.png").write_bytes(png(number + 20, (100, 90)))
    (root / "cat" / "5.png").write_bytes(png(40, (50, 600, 3)))
    result = check(str(root))
    splits = {row["split"]: row for row in result["splits"]}
    assert sum(sum(row["modes"].values()) for row in splits.values()) == 12
    assert {mode for row in splits.values() for mode in row["modes"]} == {"RGB (PNG)", "L (PNG)"}
    assert max(row["width"][2] for row in splits.values()) == 600
    odd = [row["what"] for row in result["findings"] if row["kind"] == "odd sizes"]
    assert odd == [
        "1 images have a side of less than 32 pixels; the first has 12 x 10 (height, width)",
        "1 images have a side more than 10 times the other; the first has 50 x 600 (height, width)",
    ]
