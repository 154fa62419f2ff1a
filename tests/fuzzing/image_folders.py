"""Folders of images as people have them: splits, classes, other files, damaged images, links, odd names."""

import os
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

import potstill as ps
from fuzzing.domain import Domain
from fuzzing.odd import Damage, damage, damaged, texts
from fuzzing.small import picture

KINDS = {"PNG": ".png", "JPEG": ".jpg", "GIF": ".gif", "BMP": ".bmp", "WEBP": ".webp", "PPM": ".ppm", "TIFF": ".tif"}
FOLDERS = (
    *("train", "val", "test", "Train", "training_set", "test_set", "valid", "images", "annotations", "data", "cat"),
    *("dog",),
    *("0", "1", "n01440764", "cat", "dog", "__MACOSX", ".ipynb_checkpoints", "lost+found", "@eaDir", "a b", "é"),
    *("e\u0301",),
)
FILES = ("0", "1", "cat.1", "labels", "README", "train-00000-of-00001", ".DS_Store", "Thumbs", "class_to_idx", "data")
SUFFIXES = (".png", ".jpg", ".JPG", "", ".txt", ".csv", ".json", ".parquet", ".tar", ".eps", ".jpeg", ".tif", ".gz")


def _name(names: tuple[str, ...]) -> st.SearchStrategy[str]:
    odd = (
        texts(nul=False).map(lambda text: text.replace("/", "_")[:60]).filter(lambda text: text not in ("", ".", ".."))
    )
    return st.sampled_from(names) | st.sampled_from(names) | st.sampled_from(names) | odd


def _file() -> st.SearchStrategy[Any]:
    sound = st.sampled_from(sorted(KINDS)).map(lambda kind: ("image", kind, []))
    broken = st.tuples(st.just("image"), st.sampled_from(sorted(KINDS)), damage())
    other = st.sampled_from(
        (b"", b"path,label\n0.png,cat\n", b"{}", b"PAR1", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"\xff\xd8\xff")
    )
    return (
        sound | sound | broken | st.tuples(st.just("bytes"), other) | st.tuples(st.just("link"), st.sampled_from(LINKS))
    )


LINKS = (".", "..", "nowhere", "/dev/null", "train", "../val", "cat")
NAMED = st.tuples(_name(FILES), st.sampled_from(SUFFIXES)).map("".join)
IMAGES = st.dictionaries(NAMED, _file(), max_size=3)
CLASSES = st.dictionaries(_name(FOLDERS), IMAGES | st.dictionaries(_name(FOLDERS), IMAGES, max_size=2), max_size=3)
SPLITS = st.dictionaries(_name(FOLDERS), CLASSES, max_size=3)


@st.composite
def _usual(draw: st.DrawFn) -> dict[str, Any]:
    """A sound folder of two classes with something odd in one place."""
    image = ("image", draw(st.sampled_from(sorted(KINDS))), [])
    suffix = KINDS[image[1]]
    classes = {name: {f"{i}{suffix}": image for i in range(2)} for name in ("cat", "dog")}
    tree: dict[str, Any] = {"train": {**classes}, "val": {**classes}} if draw(st.booleans()) else {**classes}
    place = tree
    for _ in range(draw(st.integers(0, 2))):
        inner = [value for value in place.values() if isinstance(value, dict)]
        if inner:
            place = draw(st.sampled_from(inner))
    place.update(draw(st.dictionaries(_name(FOLDERS), IMAGES, max_size=1) | IMAGES))
    return tree


def build(tree: dict[str, Any], folder: Path) -> None:
    """Write a tree of folders, files and links."""
    folder.mkdir(exist_ok=True)
    for name, content in tree.items():
        path = folder / name
        try:
            if isinstance(content, dict):
                build(content, path)
            elif content[0] == "link":
                path.symlink_to(content[1])
            else:
                changes: Damage = content[2] if content[0] == "image" else []
                sound = picture(content[1]) if content[0] == "image" else content[1]
                path.write_bytes(damaged(sound, changes))
        except (OSError, UnicodeEncodeError):
            continue  # a name that this file system does not take


def run(value: tuple[dict[str, Any], bool], folder: Path) -> None:
    """Load the folder and see every image once."""
    tree, skip = value
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
    build(tree, folder / "set")
    on_bad_image = "skip" if skip else "fatal"
    data = ps.data.load(str(folder / "set"), batch_size=2, image_size=8, workers=0, on_bad_image=on_bad_image)
    assert len(data.classes) > 1
    seen = sum(len(batch["labels"]) for loader in (data.train, data.test) if loader is not None for batch in loader)
    assert seen or skip


TREES = st.one_of(_usual(), _usual(), CLASSES, SPLITS)
IMAGE_FOLDERS = Domain(st.tuples(TREES, st.booleans()), run)
