"""Random operations on images: rotated, brighter, sharper, ...; another one for each image of a batch."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from potstill.batch import Batch
from potstill.data.normalize import Standardize


class Operations:
    """Changes each image of a batch by itself, as pixels: what torchvision's operations are made for.

    Args:
        change: of the pixels (C, H, W) of an image, uint8, to such.
        mean: by which the images were normalised, for pixels in 0..1.
        std: likewise.
    """

    def __init__(self, change: Callable[[Tensor], Tensor], mean: Sequence[float], std: Sequence[float]) -> None:
        self.change, self.mean, self.std = change, tuple(mean), tuple(std)

    def __call__(self, batch: Batch) -> Batch:
        """The batch with its images (N, C, H, W) changed, and normalised again."""
        pixels = to_pixels(batch["images"], self.mean, self.std)
        changed = torch.stack([self.change(image) for image in pixels]).permute(0, 2, 3, 1)
        return {**batch, "images": Standardize(changed.shape[1:], self.mean, self.std, changed.device)(changed)}


def to_pixels(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """The pixels (N, C, H, W), uint8, that normalised images were made of.

    >>> pixels = torch.randint(256, (4, 8, 8, 3), dtype=torch.uint8)
    >>> images = Standardize((8, 8, 3), mean=(0.5, 0.4, 0.3), std=(0.2, 0.2, 0.3), device="cpu")(pixels)
    >>> bool((to_pixels(images, (0.5, 0.4, 0.3), (0.2, 0.2, 0.3)).permute(0, 2, 3, 1) == pixels).all())
    True
    """
    wide = [torch.tensor(values, dtype=torch.float32, device=images.device).view(-1, 1, 1) for values in (mean, std)]
    return (images * wide[1]).add_(wide[0]).mul_(255).round_().clamp_(0, 255).to(torch.uint8)


def randaugment(count: int, strength: int) -> Callable[[Tensor], Tensor]:
    """RandAugment: ``count`` operations an image, each of the same strength, 0 to 30.

    Cubuk, Zoph, Shlens and Le, "RandAugment: practical automated data augmentation with a reduced search space",
    NeurIPS 2020: https://arxiv.org/abs/1909.13719
    """
    from torchvision.transforms import v2

    change: Callable[[Tensor], Tensor] = v2.RandAugment(count, strength)
    return change


def trivial_augment() -> Callable[[Tensor], Tensor]:
    """TrivialAugment: one operation an image, of random strength.

    Müller and Hutter, "TrivialAugment: tuning-free yet state-of-the-art data augmentation", ICCV 2021:
    https://arxiv.org/abs/2103.10158
    """
    from torchvision.transforms import v2

    change: Callable[[Tensor], Tensor] = v2.TrivialAugmentWide()
    return change
