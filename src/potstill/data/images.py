"""One split of a small image set, whole in memory."""

import zlib
from dataclasses import dataclass

import torch
from torch import Tensor

NO_LABEL = -1
"""In the place of an image's class, where nobody says it. A loader of such images gives no labels."""


@dataclass(frozen=True)
class ImageSet:
    """Images (N, H, W, C) as uint8 and their labels (N,) as int64, row by row."""

    images: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        assert self.images.dtype == torch.uint8, f"images are uint8, not {self.images.dtype}"
        assert self.images.dim() == 4, f"images are (N, H, W, C), not {tuple(self.images.shape)}"
        assert self.labels.dtype == torch.int64, f"labels are int64, not {self.labels.dtype}"
        assert self.labels.shape == self.images.shape[:1], "one label for every image"

    @property
    def checksum(self) -> str:
        """What tells it from other images or labels: CRC-32 of both."""
        return "-".join(
            f"{zlib.crc32(tensor.cpu().contiguous().numpy().data):08x}" for tensor in (self.images, self.labels)
        )

    def __len__(self) -> int:
        return len(self.labels)

    def unlabelled(self) -> "ImageSet":
        """The same images without labels."""
        return ImageSet(self.images, torch.full_like(self.labels, NO_LABEL))

    def to(self, device: torch.device | str) -> "ImageSet":
        """The same split on ``device``."""
        return ImageSet(self.images.to(device), self.labels.to(device))
