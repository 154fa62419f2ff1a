"""Digits as image files."""

from collections.abc import Callable
from pathlib import Path

from PIL import Image

from potstill.data.digits import digits

SETTINGS = {"image_size": 8, "workers": 0, "cache": True, "augment": "none", "normalize": "digits"}
"""As which they are read: each whole, and none shifted."""


def write_digits(root: Path, count: int, place: Callable[[int, int], str], first: int = 0) -> Path:
    """Some of the training digits as PNG, each at ``place(row, label)`` in ``root``."""
    train, _ = digits()
    for row in range(first, first + count):
        path = root / place(row, int(train.labels[row]))
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(train.images[row].numpy()).save(path)
    return root
