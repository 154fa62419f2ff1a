"""Make the embedded digits from scikit-learn's copy, so that the origin of the file can be checked.

    pip download scikit-learn --no-deps && unzip -j scikit_learn-*.whl sklearn/datasets/data/digits.csv.gz
    python tools/embed_digits.py digits.csv.gz src/potstill/data/digits.npz

Running it again writes the same bytes with the same numpy and zlib, and the same arrays with any.
"""

import argparse
from pathlib import Path

import numpy as np


def main() -> None:
    """Read 1797 rows of 64 counts in 0..16 and a label, write images of 0..255 and labels, in the same order."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("source", type=Path, help="digits.csv.gz of scikit-learn")
    parser.add_argument("target", type=Path, help="the file to write, digits.npz")
    arguments = parser.parse_args()

    table = np.loadtxt(arguments.source, delimiter=",")
    counts, labels = table[:, :64].reshape(-1, 8, 8), table[:, 64]
    images = np.rint(counts * (255 / 16)).astype(np.uint8)
    np.savez_compressed(arguments.target, images=images, labels=labels.astype(np.uint8))
    print(f"{len(images)} images, {arguments.target.stat().st_size} bytes: {arguments.target}")


if __name__ == "__main__":
    main()
