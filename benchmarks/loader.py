"""CPU time of our loader against a torchvision-style per-image loader, on real CIFAR-10 images, one thread.

    python benchmarks/loader.py --data-dir ../shared/data

Both crop with 4 pixels of padding, mirror, normalise and batch the same images. Rounds alternate, so that whatever
else the machine does meets both; the ratio is taken within each round. Prints one row of a Markdown table.
"""

import argparse
import statistics
import time
from collections.abc import Iterable
from pathlib import Path

import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from potstill.data import Augment, ImageSet, Loader
from potstill.data.cifar import cifar10
from potstill.data.normalize import STATISTICS

BATCH = 128


class PerImage(Dataset[tuple[torch.Tensor, int]]):
    """Images augmented one at a time, as torchvision's CIFAR10 with the usual transforms does."""

    def __init__(self, image_set: ImageSet) -> None:
        mean, std = STATISTICS["cifar10"]
        self.images, self.labels = image_set.images.numpy(), image_set.labels.tolist()
        self.transform = transforms.Compose(
            [
                transforms.RandomCrop(32, padding=4),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize(mean, std),
            ]
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
        return self.transform(Image.fromarray(self.images[row])), self.labels[row]


def seconds(batches: Iterable[object]) -> float:
    """CPU time of one epoch."""
    start = time.process_time()
    for _ in batches:
        pass
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data-dir", type=Path, help="where CIFAR-10 lies")
    parser.add_argument("--images", type=int, default=5000, help="training images an epoch")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    whole, _ = cifar10(arguments.data_dir)
    image_set = ImageSet(whole.images[: arguments.images], whole.labels[: arguments.images])
    mean, std = STATISTICS["cifar10"]
    ours = Loader(image_set, BATCH, mean=mean, std=std, augment=Augment(pad=4, flip=True))
    theirs = DataLoader(PerImage(image_set), BATCH, shuffle=True, num_workers=0)

    seconds(ours), seconds(theirs)  # not counted: first calls fill caches
    times = []
    for epoch in range(arguments.rounds):
        ours.set_epoch(epoch)
        times.append((seconds(theirs), seconds(ours)))
    ratios = [their_time / our_time for their_time, our_time in times]
    per_image, batched = (1e6 * statistics.median(column) / len(image_set) for column in zip(*times, strict=True))
    print("| loader | per image, µs/image | ours, µs/image | ratio, median (min-max) | rounds |")
    print("|---|---|---|---|---|")
    print(
        f"| CIFAR-10, {len(image_set)} images, batch {BATCH}, 1 thread | {per_image:.1f} | {batched:.2f} | "
        f"{statistics.median(ratios):.1f}x ({min(ratios):.1f}-{max(ratios):.1f}) | {len(ratios)} |"
    )


if __name__ == "__main__":
    main()
