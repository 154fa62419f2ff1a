"""Mixup and CutMix: two images in one, and the label says how much of each."""

from collections.abc import Sequence

import torch
from torch import Tensor

from potstill.batch import Batch
from potstill.errors import BadInput
from potstill.term import Term


class Mixing:
    """Mixes every image of a batch with the one before it, all in the same parts; labels become probabilities (N, K).
    Images without labels are mixed all the same.

    Zhang, Cisse, Dauphin and Lopez-Paz, "mixup: beyond empirical risk minimization", ICLR 2018:
    https://arxiv.org/abs/1710.09412; Yun et al., "CutMix: regularization strategy to train strong classifiers with
    localizable features", ICCV 2019: https://arxiv.org/abs/1905.04899. The batch is in random order already.

    Args:
        mixup: the parameter of Beta(mixup, mixup), of which the parts are drawn; 0 for none.
        cutmix: likewise, the part of an image's area. With both, each batch takes one of them at random.
        classes: K.
    """

    def __init__(self, mixup: float, cutmix: float, classes: int) -> None:
        from torchvision.transforms import v2

        asked = {v2.MixUp: mixup, v2.CutMix: cutmix}
        ways = [way(alpha=alpha, num_classes=classes) for way, alpha in asked.items() if alpha]
        self.mix = ways[0] if len(ways) == 1 else v2.RandomChoice(ways)

    def __call__(self, batch: Batch) -> Batch:
        """The batch, mixed: images with labels among themselves, and those without."""
        images, labels = batch["images"], batch.get("labels")
        if labels is None:
            return {**batch, "images": self._alone(images)}
        first, labels = self.mix(images[: len(labels)], labels)
        rest = images[len(first) :]
        return {**batch, "images": torch.cat((first, self._alone(rest))) if len(rest) else first, "labels": labels}

    def _alone(self, images: Tensor) -> Tensor:
        mixed: Tensor = self.mix(images, torch.zeros(len(images), dtype=torch.int64, device=images.device))[0]
        return mixed


def check_mixable(terms: Sequence[Term]) -> None:
    """Refuse what has no meaning of two images in one.

    Raises:
        BadInput: a term that takes labels as classes only, or says which image each is.
    """
    mixed = "--mixup and --cutmix make one image of two"
    for term in terms:
        if "index" in term.flat_addresses:
            raise BadInput(f"{mixed}, and term '{term.name}' asks which one it is")
        if "labels" in term.flat_addresses and getattr(term.loss, "hard_labels", False):
            raise BadInput(f"{mixed}, with two labels, and term '{term.name}' takes one class for each")
