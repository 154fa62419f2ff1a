"""Random crops and mirror images, each with a number, so that a teacher's answer can be kept for exactly that view."""

from dataclasses import dataclass
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from potstill.errors import BadInput, unknown

Border = Literal["zero", "reflect"]


@dataclass(frozen=True)
class Augment:
    """Pad every side by ``pad`` pixels, crop back to the old size at random, mirror every other image.

    A *view* is one of the images that may come out: ``view = (dy * (2 * pad + 1) + dx) * 2 + mirrored``, where the
    crop starts at row dy and column dx of the padded image. Pad 4 with flips has 9 * 9 * 2 = 162 views.

    Source: the standard CIFAR augmentation, He et al., Deep Residual Learning, CVPR 2016, section 4.2,
    https://arxiv.org/abs/1512.03385. ``border`` "reflect" mirrors the image at its edge without repeating the edge.
    """

    pad: int = 4
    flip: bool = True
    border: Border = "zero"

    def __post_init__(self) -> None:
        if self.pad < 0:
            raise BadInput(f"pad is {self.pad}, but must not be negative")
        if self.border not in get_args(Border):
            raise unknown("border", self.border, get_args(Border))

    @property
    def shifts(self) -> int:
        """The number of places of a crop along one side."""
        return 2 * self.pad + 1

    @property
    def plain(self) -> int:
        """The view that is the unchanged image."""
        return 2 * (self.pad * self.shifts + self.pad)

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Views (count,) at random, each as likely as any other."""
        crops = torch.randint(self.shifts**2, (count,), generator=generator)
        mirrored = torch.randint(2, (count,), generator=generator) if self.flip else torch.zeros_like(crops)
        return crops.mul_(2).add_(mirrored)

    def split(self, view: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Row dy, column dx and mirrored (0 or 1) of each view, the inverse of the formula above."""
        crop = view // 2
        return crop // self.shifts, crop % self.shifts, view % 2

    def padded(self, images: Tensor) -> Tensor:
        """Images (N, H, W, C) with their border, (N, H + 2 * pad, W + 2 * pad, C)."""
        if self.border == "zero":
            return F.pad(images, (0, 0, self.pad, self.pad, self.pad, self.pad))
        height, width = images.shape[1:3]
        if self.pad >= min(height, width):
            raise BadInput(f"pad {self.pad} is too large to reflect images of {height}x{width} pixels")
        rows, columns = (self._reflected(size).to(images.device) for size in (height, width))
        return images.index_select(1, rows).index_select(2, columns)

    def _reflected(self, size: int) -> Tensor:
        places = torch.arange(-self.pad, size + self.pad).abs()
        return (size - 1) - ((size - 1) - places).abs()
