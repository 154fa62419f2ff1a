"""What tells a data set from another of the same name, classes and counts."""

import os
import shutil

import pytest
import torch
from data.odd_folders import IMAGES, parquet, png, put, two

import potstill as ps
from potstill.data import identity


def digest(root, **options):
    return ps.data.load(str(root), workers=0, image_size=8, **options).described()["digest"]


def swap(one, other):
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)


def keep_its_times(path, content):
    status = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def inverted(path):
    content = bytearray(path.read_bytes())
    content[-30] ^= 0xFF
    return bytes(content)


CHANGES = {
    "a bit": lambda root: (root / "train/cat/0.png").write_bytes(inverted(root / "train/cat/0.png")),
    "a bit, and the time is set back": lambda root: keep_its_times(
        root / "train/cat/0.png", inverted(root / "train/cat/0.png")
    ),
    "another image": lambda root: (root / "train/cat/0.png").write_bytes(png(77)),
    "a test image": lambda root: (root / "val/dog/1.png").write_bytes(png(77)),
    "two images of a class": lambda root: swap(root / "train/cat/0.png", root / "train/cat/1.png"),
    "two images of two classes": lambda root: swap(root / "train/cat/0.png", root / "train/dog/0.png"),
    "a name": lambda root: (root / "train/cat/0.png").rename(root / "train/cat/9.png"),
    "its class": lambda root: (root / "train/cat/5.png").rename(root / "train/dog/9.png"),
    "two classes": lambda root: [
        (root / split / one).rename(root / split / other)
        for split in ("train", "val")
        for one, other in (("cat", "x"), ("dog", "cat"), ("x", "dog"))
    ],
    "the two splits": lambda root: [
        (root / a).rename(root / b) for a, b in (("train", "x"), ("val", "train"), ("x", "val"))
    ],
    "one more": lambda root: (root / "train/cat/7.png").write_bytes(png(78)),
    "one less": lambda root: (root / "val/cat/0.png").unlink(),
    "a missing one": lambda root: [
        (root / "train/cat/0.png").unlink(),
        (root / "train/cat/0.png").symlink_to("nowhere"),
    ],
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("limit", [2**31, 0])
def test_what_is_changed_between_two_loads_is_noticed(tmp_path, change, limit, monkeypatch, user_cache):  # B2
    monkeypatch.setattr(identity, "WHOLE", limit)  # of large sets, a sample: here it has all of these few
    two(tmp_path)
    before = digest(tmp_path)
    assert digest(tmp_path) == before
    CHANGES[change](tmp_path)
    assert digest(tmp_path) != before


SAME = {
    "copied": lambda root, to: shutil.copytree(root, to),
    "moved": lambda root, to: shutil.move(root, to),
    "touched": lambda root, to: [shutil.copytree(root, to)] + [path.touch() for path in to.rglob("*.png")],
    "linked": lambda root, to: to.symlink_to(root),
    "with litter": lambda root, to: [shutil.copytree(root, to), put(to, "train/.DS_Store", "train/cat/Thumbs.db")],
    "read-only": lambda root, to: [shutil.copytree(root, to)] + [path.chmod(0o400) for path in to.rglob("*.png")],
}


@pytest.mark.parametrize("how", SAME)
@pytest.mark.parametrize("limit", [2**31, 0])
def test_a_copy_is_the_same_data(tmp_path, how, limit, monkeypatch, user_cache):  # B2
    monkeypatch.setattr(identity, "WHOLE", limit)
    two(tmp_path / "here")
    before = digest(tmp_path / "here")
    assert before.endswith("of all contents" if limit else "of a sample")
    SAME[how](tmp_path / "here", tmp_path / "there")
    assert digest(tmp_path / "there") == before


def test_contents_on_request(tmp_path, monkeypatch, user_cache):  # B2
    monkeypatch.setattr(identity, "WHOLE", 0)
    monkeypatch.setattr(identity, "SAMPLE", 0)
    two(tmp_path)
    image = tmp_path / "train" / "cat" / "0.png"
    before, whole = digest(tmp_path), digest(tmp_path, data_digest="contents")
    image.write_bytes(inverted(image))
    assert digest(tmp_path) == before  # names and sizes alone
    assert digest(tmp_path, data_digest="contents") != whole
    image.write_bytes(image.read_bytes() + b"x")
    assert digest(tmp_path) != before


def test_it_is_looked_for_once(tmp_path, monkeypatch, user_cache):  # B2
    two(tmp_path)
    before = digest(tmp_path)
    monkeypatch.setattr(identity, "_digest", lambda *_: pytest.fail("it is known"))
    assert digest(tmp_path) == before
    (kept,) = (user_cache / "potstill" / "identities").iterdir()
    kept.write_bytes(kept.read_bytes()[:-1] + b"?")
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(user_cache))
    assert digest(tmp_path) == before
    shutil.rmtree(user_cache)
    user_cache.write_bytes(b"")  # no folder can be made there
    assert digest(tmp_path) == before


def test_parquet(tmp_path, user_cache):  # B2
    parquet(tmp_path / "a" / "train.parquet", [0, 1] * 6)
    before = digest(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    assert digest(tmp_path / "b") == before
    parquet(tmp_path / "a" / "train.parquet", [1, 0] * 6)
    assert digest(tmp_path / "a") != before
    IMAGES[0], kept = png(55), IMAGES[0]
    parquet(tmp_path / "a" / "train.parquet", [0, 1] * 6)
    IMAGES[0] = kept
    assert digest(tmp_path / "a") != before


def test_a_list_of_labels(tmp_path, user_cache):  # B2
    put(tmp_path, "10*pool")
    lines = [f"pool/{n}.png,{'cat' if n % 2 else 'dog'}" for n in range(10)]
    (tmp_path / "l.csv").write_text("\n".join(["path,label", *lines]))
    before = digest(tmp_path, labels=str(tmp_path / "l.csv"))
    (tmp_path / "l.csv").write_text("\n".join(["path,label", *lines[:8], *(line[:-3] + "cat" for line in lines[8:])]))
    assert digest(tmp_path, labels=str(tmp_path / "l.csv")) != before


def test_arrays(hub, batches, user_cache):  # B2
    told = [ps.data.load("cifar10", data_dir=folder).described()["digest"] for folder in (hub, batches)]
    assert told[0] == told[1]
    assert told[0].endswith(" of arrays")
    first, second = (batches / "cifar-10-batches-py" / f"data_batch_{n}" for n in (1, 2))
    swap(first, second)
    assert ps.data.load("cifar10", data_dir=batches).described()["digest"] != told[0]
    digits = ps.data.load("digits").described()["digest"]
    assert digits == ps.data.load("digits", images=10, holdout=20, seed=3).described()["digest"]


def test_own_loaders_are_not_known():  # B2
    loader = [(torch.randn(2, 3, 8, 8), torch.tensor([0, 1]))]
    assert ps.data.from_loaders(loader).described()["digest"] is None
