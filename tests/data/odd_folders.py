"""Odd folders of images, written from a few words."""

import io
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
from PIL import Image


def png(number: int = 0, shape: tuple[int, ...] = (12, 10, 3)) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(number).integers(256, size=shape, dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, "png")
    return buffer.getvalue()


IMAGES = [png(number) for number in range(40)]


def put(root: Path, *names: str) -> Path:
    """Files of these names; ``5*a/b`` are the images ``a/b/0.png`` to ``a/b/4.png``."""
    number = len(list(root.rglob("*.*"))) if root.is_dir() else 0
    for name in names:
        count, star, folder = name.partition("*")
        files = [f"{folder}/{n}.png" for n in range(int(count))] if star else [name]
        for file in files:
            path = root / file
            path.parent.mkdir(parents=True, exist_ok=True)
            image = path.suffix.lower() in (".png", ".jpg", ".jpeg", "")
            path.write_bytes(IMAGES[number % len(IMAGES)] if image else b"x")
            number += 1
    return root


def two(root: Path) -> Path:
    """The usual: two classes, six images of each to train on and two to test."""
    return put(root, *(f"{count}*{split}/{name}" for split, count in SPLITS for name in ("cat", "dog")))


SPLITS = (("train", 6), ("val", 2))


def parquet(path: Path, labels: list[object], *, names: list[str] | None = None, **columns: list[object]) -> None:
    """A Parquet file of images with the column ``label``, and further columns."""
    rows = [{"bytes": IMAGES[row % len(IMAGES)], "path": None} for row in range(len(labels))]
    table = pyarrow.table({"image": rows, "label": labels, **columns})
    if names is not None:
        info = {"info": {"features": {"label": {"_type": "ClassLabel", "names": names}}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(info)})
    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(table, path)


Made = Callable[[Path], object]


def write(root: Path, file: str, text: str) -> Path:
    """A text file."""
    (root / file).parent.mkdir(parents=True, exist_ok=True)
    (root / file).write_text(text)
    return root


def bytes_in_a_name(root: Path) -> None:
    two(root)
    Path(os.fsdecode(os.fsencode(root) + b"/train/dog/caf\xe9.png")).write_bytes(IMAGES[30])
