"""Random erasing: a rectangle of an image becomes nothing."""

import torch

from potstill.batch import Batch


class Erasing:
    """Sets a random rectangle of some images to 0, which is the mean: 2 to 33 % of an image, as in the paper.

    Zhong, Zheng, Kang, Li and Yang, "Random erasing data augmentation", AAAI 2020: https://arxiv.org/abs/1708.04896

    Args:
        probability: of each image.
    """

    def __init__(self, probability: float) -> None:
        from torchvision.transforms import v2

        self.erase = v2.RandomErasing(p=probability)

    def __call__(self, batch: Batch) -> Batch:
        """The batch, with another rectangle in each image (N, C, H, W)."""
        erased = torch.stack([self.erase(image) for image in batch["images"]])
        return {**batch, "images": erased.to(memory_format=torch.channels_last)}
