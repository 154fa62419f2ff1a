"""Real handwritten digits that come with the package, for demonstrations and for machines without a network."""

from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
import torch

from potstill.data.images import ImageSet

CLASSES = tuple("0123456789")
TRAIN = 1000  # the first rows; the last 797 are the test set


def digits(data_dir: Path | None = None) -> tuple[ImageSet, ImageSet]:
    """1797 scanned digits of 8x8 pixels in 10 classes, embedded in the package: 1000 to train, 797 to test.

    Three equal channels, (N, 8, 8, 3), so that every network takes them. They need no folder: ``data_dir`` is
    not looked at.

    Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository,
    1998, https://doi.org/10.24432/C50P49, CC BY 4.0; the copy in scikit-learn, rescaled from 0..16 to 0..255 by
    tools/embed_digits.py. See DIGITS-LICENSE.md beside the file.
    """
    with as_file(files("potstill.data") / "digits.npz") as path, np.load(path) as arrays:
        grey, labels = torch.from_numpy(arrays["images"]), torch.from_numpy(arrays["labels"]).long()
    images = grey.unsqueeze(-1).repeat(1, 1, 1, 3)
    return ImageSet(images[:TRAIN], labels[:TRAIN]), ImageSet(images[TRAIN:], labels[TRAIN:])
