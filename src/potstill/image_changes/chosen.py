"""The changes that a run's settings ask for."""

from collections.abc import Callable

from potstill.augmentation import Augmentation
from potstill.batch import Batch
from potstill.data.data import Data
from potstill.errors import BadInput
from potstill.hub import library
from potstill.image_changes.erasing import Erasing
from potstill.image_changes.mixing import Mixing
from potstill.image_changes.operations import Operations, randaugment, trivial_augment


def chosen_changes(asked: Augmentation, data: Data) -> list[Callable[[Batch], Batch]]:
    """Functions from batch to batch, in the order in which they are applied: operations, erasing, mixing.

    Raises:
        BadInput: torchvision is not installed; of somebody's own loaders, mean and std or classes are not known.
    """
    operating = asked.randaugment is not None or asked.trivial_augment
    if not (operating or asked.erase or asked.mixes):
        return []
    library("torchvision", "models")
    changes: list[Callable[[Batch], Batch]] = []
    if operating:
        if data.mean is None or data.std is None:
            raise BadInput(
                "operations on pixels need the mean and std by which the images were normalised: "
                "from_loaders(..., mean=, std=)"
            )
        change = randaugment(*asked.randaugment) if asked.randaugment is not None else trivial_augment()
        changes.append(Operations(change, data.mean, data.std))
    if asked.erase:
        changes.append(Erasing(asked.erase))
    if asked.mixes:
        if not data.classes and not data.unlabelled:
            raise BadInput("--mixup and --cutmix need to know how many classes there are: from_loaders(..., classes=)")
        changes.append(Mixing(asked.mixup, asked.cutmix, max(1, len(data.classes))))
    return changes
