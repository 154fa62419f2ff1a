"""Our loader of image files against torchvision's ImageFolder in a plain DataLoader with as many workers.

    python benchmarks/image_loader.py --data ../shared/data/imagenet_sample

Both read the same JPEG files, crop at random to 224 x 224, mirror, normalise and batch them. The sample is written into
a folder of classes several times over, so that an epoch lasts. Rounds alternate: one epoch of each; the ratio is taken
within each round. Workers are running before the first round that counts, and all loaders' workers stay. Prints
Markdown.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import torch
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from potstill.data import ImageLoader
from potstill.data.files.folder import Folder
from potstill.data.files.image_files import read_images
from potstill.data.normalize import STATISTICS

SIZE = 224
MEAN, STD = STATISTICS["imagenet"]


def write_folder(data: Path, root: Path, copies: int) -> None:
    """Every image of the data set as a file in its class's folder."""
    images = read_images(data).train
    for row, label in enumerate(images.labels.tolist()):
        folder = root / f"{label:04d}"
        folder.mkdir(exist_ok=True)
        for copy in range(copies):
            (folder / f"{row}-{copy}.jpg").write_bytes(images.read(row))


def seconds(batches: Iterable[object]) -> float:
    """Wall time of one epoch."""
    start = time.perf_counter()
    for _ in batches:
        pass
    return time.perf_counter() - start


def plain(root: Path, batch: int, workers: int) -> DataLoader[object]:
    """What torchvision's own training scripts do."""
    transform = v2.Compose(
        [
            v2.RandomResizedCrop(SIZE),
            v2.RandomHorizontalFlip(),
            v2.PILToTensor(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(MEAN, STD),
        ]
    )
    shared = {"num_workers": workers, "persistent_workers": workers > 0}
    return DataLoader(ImageFolder(root, transform), batch, shuffle=True, **shared)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of images, for example imagenet_sample")
    parser.add_argument("--copies", type=int, default=6, help="how often each image is in an epoch")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        write_folder(arguments.data, root, arguments.copies)
        images = Folder(root)
        settings = {"size": SIZE, "mean": MEAN, "std": STD, "shuffle": True, "augment": True}
        settings |= {"workers": arguments.workers}
        loaders = {
            "plain DataLoader": plain(root, arguments.batch, arguments.workers),
            "ours, decoding": ImageLoader(images, arguments.batch, **settings),
            "ours, from the cache": ImageLoader(images, arguments.batch, **settings, cache=True),
        }
        times: dict[str, list[float]] = {loader: [] for loader in loaders}
        for round_ in range(arguments.rounds + 1):
            for loader, batches in loaders.items():
                if isinstance(batches, ImageLoader):
                    batches.set_epoch(round_)
                elapsed = seconds(batches)
                if round_:  # in the first one, workers start and the cache is checked
                    times[loader].append(elapsed)
    print(f"{len(images)} images of {SIZE} x {SIZE}, batch {arguments.batch}, {arguments.workers} workers:\n")
    print("| loader | images/s, median | as fast as the plain one, median (min to max) | rounds |")
    print("|---|---|---|---|")
    for loader, own in times.items():
        ratios = [theirs / ours for theirs, ours in zip(times["plain DataLoader"], own, strict=True)]
        spread = f"{statistics.median(ratios):.2f}x ({min(ratios):.2f} to {max(ratios):.2f})"
        print(f"| {loader} | {len(images) / statistics.median(own):.0f} | {spread} | {len(own)} |")


if __name__ == "__main__":
    main()
