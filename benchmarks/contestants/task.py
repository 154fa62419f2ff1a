"""What is to be done: a pair of networks, a method, and the images."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import Dataset
from torchvision import transforms

import potstill as ps
from potstill.data.normalize import STATISTICS

PAIRS = {"WRN-40-2 to WRN-16-2": ("wrn-40-2", "wrn-16-2"), "resnet56 to resnet20": ("resnet56", "resnet20")}
TERMS = {
    "KD": ("0.1 * CE", "0.9 * KD(temperature=4)"),
    "AT": ("CE", "1000 * AT on stages"),
    "DKD": ("CE", "DKD(beta=8)"),
    "ReviewKD": ("CE", "0.8 * ReviewKD"),
    "CRD": ("CE", "0.8 * CRD"),
}


@dataclass
class Task:
    """A pair of networks with a method; every contestant gets networks of its own, with the same weights."""

    pair: str
    method: str
    batch_size: int
    images: int
    data_dir: Path | None

    def __post_init__(self) -> None:
        teacher, student = PAIRS[self.pair]
        self.student: nn.Module = ps.networks.create(student, 100, seed=0)
        self.teacher: nn.Module = ps.freeze(ps.networks.create(teacher, 100, seed=1))

    @property
    def training(self) -> ps.Training:
        """The same in our words."""
        kept_back = 50_000 - self.images
        settings = {"data_dir": self.data_dir, "batch_size": self.batch_size, "holdout": kept_back, "epochs": 1}
        return ps.Training("cifar100", device="cpu", lr=0.05, **settings)

    @property
    def tapped(self) -> list[str]:
        """The stages, or whatever else a method looks at."""
        stages = sorted(name for name in self.student.aliases if name.startswith("stage") and ":" not in name)
        return {"AT": stages, "ReviewKD": [*stages, "pooled"], "CRD": ["pooled"]}.get(self.method, [])


class PerImage(Dataset[tuple[Tensor, int, int]]):
    """Images augmented one at a time, as torchvision's CIFAR100 with the usual transforms does."""

    def __init__(self, images: np.ndarray, labels: list[int], rows: list[int]) -> None:
        mean, std = STATISTICS["cifar100"]
        self.images, self.labels, self.rows = images, labels, rows
        steps = [transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip(), transforms.ToTensor()]
        self.transform = transforms.Compose([*steps, transforms.Normalize(mean, std)])

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, place: int) -> tuple[Tensor, int, int]:
        row = self.rows[place]
        return self.transform(Image.fromarray(self.images[row])), self.labels[row], row


def per_image(task: Task) -> PerImage:
    """As many images as the task has, as a torchvision data set."""
    from potstill.data.cifar import cifar100

    whole, _ = cifar100(task.data_dir)
    return PerImage(whole.images.numpy(), whole.labels.tolist(), torch.arange(task.images).tolist())
