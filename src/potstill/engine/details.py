"""What an accuracy leaves out: which classes are taken for which, and whether a network is as sure as it is right."""

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from potstill.engine.evaluate import best_classes
from potstill.runs.details import Bin, ClassFound, Details
from potstill.runs.outcomes import packed

BINS = 15
"""As in the source of `calibration`."""


class Answers:
    """A classifier's answers, collected batch by batch on its device: see ``also`` of `potstill.evaluate`.

    >>> import torch
    >>> answers = Answers()
    >>> answers(torch.tensor([[2.0, 0.0], [0.0, 1.0], [3.0, 0.0]]), torch.tensor([0, 1, 1]))
    >>> found = answers.details(("cat", "dog"))
    >>> found["n"], found["confusion"]
    (3, [[0, 0, 1], [1, 0, 1], [1, 1, 1]])
    """

    def __init__(self) -> None:
        self.batches: list[tuple[Tensor, ...]] = []
        self.count = 0

    def __call__(self, logits: Tensor, labels: Tensor) -> None:
        """Take a batch's logits (N, K) and labels (N,)."""
        chosen = best_classes(logits)[:, 0]
        sure = logits.softmax(1).gather(1, chosen[:, None])[:, 0]
        self.count = logits.shape[1]
        self.batches.append((labels, chosen, sure, F.cross_entropy(logits, labels, reduction="none")))

    def details(self, names: Sequence[str], bins: int = BINS) -> Details:
        """All that is known of them.

        Args:
            names: of the classes; without names, or with others than there are classes, these are numbers.
            bins: of equal width, into which probabilities are parted.
        """
        labels, chosen, sure, nll = (torch.cat(column).cpu().numpy() for column in zip(*self.batches, strict=True))
        names = names if len(names) == self.count else list(map(str, range(self.count)))
        right, sure = labels == chosen, sure.astype(np.float64)
        found, ece = calibration(sure, right, bins)
        cells, counts = np.unique(np.stack([labels, chosen], 1), axis=0, return_counts=True)
        return {
            "n": len(labels),
            "top1": 100 * float(right.mean()),
            "nll": float(nll.astype(np.float64).mean()),
            "confidence": 100 * float(sure.mean()),
            "ece": ece,
            "bins": found,
            "classes": _by_class(labels, chosen, names),
            "confusion": [[int(a), int(b), int(n)] for (a, b), n in zip(cells, counts, strict=True)],
            "outcomes": {"labels": digest_of(labels), "right": packed(right.tolist())},
        }


def calibration(sure: NDArray[np.float64], right: NDArray[np.bool_], count: int) -> tuple[list[Bin], float]:
    """Images by the probability of their chosen class, and the expected calibration error in points.

        ECE = sum over bins of n_bin / n * |accuracy of the bin - mean probability of the bin|

    Source: Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks", ICML 2017, equation 3, with its
    15 bins of equal width, each with its upper end: https://arxiv.org/abs/1706.04599. Naeini, Cooper and Hauskrecht,
    "Obtaining Well Calibrated Probabilities Using Bayesian Binning", AAAI 2015, introduced it.

    Args:
        sure: probabilities (N,) of the chosen classes.
        right: whether (N,) they were the right ones.
        count: how many bins there are.
    """
    place = np.clip(np.ceil(sure * count).astype(np.int64) - 1, 0, count - 1)
    n, hits = np.bincount(place, minlength=count), np.bincount(place, right, count)
    shares = np.bincount(place, sure, count)
    bins: list[Bin] = [
        {
            "low": 100 * k / count,
            "high": 100 * (k + 1) / count,
            "n": int(n[k]),
            "confidence": 100 * float(shares[k] / n[k]) if n[k] else None,
            "top1": 100 * float(hits[k] / n[k]) if n[k] else None,
        }
        for k in range(count)
    ]
    return bins, 100 * float(np.abs(hits - shares).sum() / len(sure))


def written(details: Mapping[str, Details]) -> bytes:
    """The content of a run's ``details.json``: details of learners by their names."""
    return (json.dumps(details) + "\n").encode()


def digest_of(labels: NDArray[np.int64]) -> str:
    """Of labels in their order: 64 bits are plenty where nobody tries to deceive."""
    return sha256(labels.astype("<i8").tobytes()).hexdigest()[:16]


def _by_class(labels: NDArray[np.int64], chosen: NDArray[np.int64], names: Sequence[str]) -> list[ClassFound]:
    """Each class with its counts."""
    count = len(names)
    n, taken = np.bincount(labels, minlength=count), np.bincount(chosen, minlength=count)
    correct = np.bincount(labels[labels == chosen], minlength=count)
    return [
        {
            "class": name,
            "n": int(n[k]),
            "correct": int(correct[k]),
            "chosen": int(taken[k]),
            "top1": 100 * float(correct[k] / n[k]) if n[k] else None,
        }
        for k, name in enumerate(names)
    ]
