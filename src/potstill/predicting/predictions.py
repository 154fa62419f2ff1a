"""The most likely classes of pictures."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from potstill.data.normalize import Standardize
from potstill.errors import BadInput
from potstill.predicting.network import Classifier
from potstill.predicting.pictures import Pictures
from potstill.say import say

PROGRESS_SECONDS = 10.0


@dataclass(frozen=True)
class Predictions:
    """The most likely classes of each picture that could be read, best first, with their probabilities.

    ``labels`` (n, k) are numbers of ``classes``, ``probabilities`` (n, k) their shares of 1 among all classes,
    or each the probability of that class alone, where a picture may be of several;
    ``unreadable`` says why the other pictures could not be read.

    >>> found = Predictions(("cat", "dog"), ["a.png"], np.array([[1]]), np.array([[0.75]], np.float32))
    >>> list(found.rows())
    [{'image': 'a.png', 'top': [{'class': 'dog', 'probability': 0.75}]}]
    """

    classes: tuple[str, ...]
    images: list[str]
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    unreadable: dict[str, str] = field(default_factory=dict)

    def rows(self) -> Iterator[dict[str, Any]]:
        """Each picture's classes: {"image", "top": [{"class", "probability"}]}."""
        for image, labels, shares in zip(self.images, self.labels.tolist(), self.probabilities.tolist(), strict=True):
            top = [{"class": self.classes[k], "probability": p} for k, p in zip(labels, shares, strict=True)]
            yield {"image": image, "top": top}

    def unreadable_rows(self) -> list[dict[str, str]]:
        """The others: {"image", "reason"}."""
        return [{"image": image, "reason": reason} for image, reason in self.unreadable.items()]


def predict(classifier: Classifier, pictures: Pictures, top: int, workers: int) -> Predictions:
    """What a network says of pictures: softmax of its logits in float32; sigmoid, where one may be of several classes.

    Args:
        classifier: the network.
        pictures: the pictures; those that cannot be read are left out, and named in the result.
        top: how many classes of each.
        workers: processes that decode.

    Raises:
        BadInput: no picture can be read; the network fails, gives other classes than it should, or no finite logits.
    """
    wanted, device = classifier.wanted, classifier.device
    standardize = Standardize((wanted.side, wanted.side, 3), wanted.mean, wanted.std, device)
    names, labels, shares, unreadable = list[str](), [], [], dict[str, str]()
    spoken = time.monotonic()
    for pixels, rows, bad in pictures.batches(wanted, workers):
        unreadable |= {pictures.name(row): reason for row, reason in bad}
        if not rows:
            continue
        logits = classifier.answer(standardize(torch.from_numpy(pixels).to(device))).float()
        if logits.shape[1] != len(wanted.classes):
            raise BadInput(f"the network gives {logits.shape[1]} logits, but {len(wanted.classes)} classes have names")
        if not bool(logits.isfinite().all()):
            raise BadInput(f"the network's outputs are not finite, for {pictures.name(rows[0])} or one after it")
        probabilities = logits.sigmoid() if wanted.several else logits.softmax(1)
        best = probabilities.topk(min(top, logits.shape[1]))
        names += [pictures.name(row) for row in rows]
        labels.append(best.indices.cpu().numpy())
        shares.append(best.values.cpu().numpy())
        done = len(names) + len(unreadable)
        if time.monotonic() > spoken + PROGRESS_SECONDS and done < len(pictures):
            spoken = time.monotonic()
            say(f"{done} of {len(pictures)} pictures looked at")
    if not names:
        name, reason = next(iter(unreadable.items()))
        raise BadInput(f"none of the {len(pictures)} pictures can be read; {name}: {reason}")
    return Predictions(wanted.classes, names, np.concatenate(labels), np.concatenate(shares), unreadable)
