"""Whether an exported file computes what the network computes."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from potstill.errors import BadInput, first_line
from potstill.network_call import call
from potstill.outputs import logits_of
from potstill.soundness import RANDOM, check_logits, differ

Function = Callable[[Tensor], Tensor]
SIZES = (1, 3)
"""Batches that are tried before that of all images."""
TIMES_TORCH, ULPS = 10, 4
SHARE, MOST = 1e-3, 1.0
"""No more than this counts as the same: of the spread of an image's logits, and at all. A logit that is larger by 1
makes its class e times as likely."""


@dataclass(frozen=True)
class Compared:
    """A batch's logits, against the network's in float64.

    ``difference`` is the largest of the exported file, ``of_torch`` that of the network in float32, ``allowed`` the
    largest that counts as the same; ``same_top1`` is the share of images of the same first class, in percent.
    """

    batch: int
    difference: float
    of_torch: float
    allowed: float
    same_top1: float


@dataclass(frozen=True)
class Check:
    """What was found in each batch: of one image, of a few, of all."""

    batches: tuple[Compared, ...]

    def __str__(self) -> str:
        sizes = ", ".join(str(one.batch) for one in self.batches)
        worst, whole = max(self.batches, key=lambda one: one.difference), self.batches[-1]
        limit = f"torch's own float32: {worst.of_torch:.2g}, allowed: {worst.allowed:.2g}"
        found = (
            f"logits differ by {worst.difference:.2g} at most ({limit}), top-1 is the same for {whole.same_top1:g} %"
        )
        return f"{whole.batch} test images, in batches of {sizes}: {found}"


def check(exported: Function, network: nn.Module, images: Tensor, what: str) -> Check:
    """Compare the logits of ``exported`` and of ``network`` in float64, on several batches of images (N, C, H, W).

    A float32 result may be off by 10 times what torch's own float32 is off by, and 4 units in the last place of the
    largest logit; but never by more than a thousandth of the spread of the logits of an image, nor by more than 1.

    Raises:
        BadInput: it is off by more, or fails; the message calls it ``what``. Or the network itself is random in eval
            mode, or off by more.
    """
    exact = _exact(network, images)
    sizes = dict.fromkeys(size for size in (*SIZES, len(images)) if size <= len(images))
    _must_repeat(network, images)
    own = max(_off(_logits(network, images[:size]), exact) for size in sizes)
    ceiling = min(MOST, SHARE * _spread(exact))
    if not own <= ceiling:
        raise BadInput(
            f"the network's own logits are off by {own:.2g} in float32, of logits up to {exact.abs().max():.2g}, and "
            f"may be by {ceiling:.2g}: no file can be checked against them"
        )
    allowed = min(ceiling, TIMES_TORCH * own + ULPS * float(np.spacing(exact.abs().max().float().numpy())))
    batches = []
    for size in sizes:
        logits = _run(exported, images[:size], what)
        difference = _off(logits, exact)
        same = (logits.argmax(1) == exact[:size].argmax(1)).double().mean().item() if difference < inf else 0.0
        batches.append(Compared(size, difference, own, allowed, 100 * same))
    found = Check(tuple(batches))
    if not all(one.difference <= allowed for one in batches):
        raise BadInput(f"{what} does not compute what the network does, and is not kept: {found}")
    return found


def must_be_equal(restored: nn.Module, network: nn.Module, what: str) -> None:
    """Compare all weights and buffers bit by bit.

    Raises:
        BadInput: a name, type, shape or value differs.
    """
    ours: dict[str, Any] = restored.state_dict()
    theirs: dict[str, Any] = network.state_dict()
    for name in dict.fromkeys([*theirs, *ours]):
        if name not in ours or name not in theirs or not _bit_equal(ours[name], theirs[name]):
            raise BadInput(f"{what} does not hold the network's weights, and is not kept: {name} differs")


def _bit_equal(a: Tensor, b: Tensor) -> bool:
    if (a.dtype, a.shape) != (b.dtype, b.shape):
        return False
    return torch.equal(*(tensor.contiguous().flatten().view(torch.uint8) for tensor in (a, b)))


def _exact(network: nn.Module, images: Tensor) -> Tensor:
    try:
        return _logits(deepcopy(network).double(), images.double())
    except BadInput as error:
        raise BadInput(f"the network does not run in float64, by which exports are checked: {error}") from error


def _logits(network: nn.Module, images: Tensor) -> Tensor:
    """The network's logits of a copy of the images, which it may overwrite.

    Raises:
        BadInput: it fails, or gives none.
    """
    logits = logits_of(call(network, type(network).__name__, images.clone()))
    check_logits(logits, "the network", len(images))
    return logits


def _must_repeat(network: nn.Module, images: Tensor) -> None:
    """Refuse a network that gives something else each time: whatever was written could not be told from it."""
    if differ(_logits(network, images), _logits(network, images)):
        raise BadInput(f"the network {RANDOM}, and a file of it cannot be checked")


def _spread(logits: Tensor) -> float:
    """How far the logits of an image lie apart, in the mean of the images; of one class, how large they are."""
    if logits.shape[1] == 1:
        return float(logits.abs().max())
    return float((logits.amax(1) - logits.amin(1)).mean())


def _run(exported: Function, images: Tensor, what: str) -> Tensor:
    try:
        return logits_of(exported(images.clone()))
    except Exception as error:  # each runtime raises its own, and whatever it is, the file does not work
        reason = first_line(error)
        raise BadInput(f"{what} fails on a batch of {len(images)}, and is not kept: {reason}") from error


def _off(logits: Tensor, exact: Tensor) -> float:
    """The largest difference from the first rows of ``exact``; infinite for another shape, or what is no number."""
    wanted = exact[: len(logits)]
    if logits.shape != wanted.shape:
        return inf
    return (logits.double() - wanted).abs().nan_to_num(nan=inf).max().item()
