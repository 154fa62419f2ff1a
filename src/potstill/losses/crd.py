"""Contrastive representation distillation."""

import math
from collections import OrderedDict
from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from potstill.checked import checked
from potstill.errors import BadInput
from potstill.losses.class_lists import draw_by_class, move, sorted_lists
from potstill.losses.labels import class_indices
from potstill.losses.loss import Loss
from potstill.losses.memory_bank import LARGEST_BANK, draw_others, products, update
from potstill.losses.unit_length import unit_length
from potstill.ranges import Count, Epsilon, Fraction, Range, Temperature, Width

ONE_CLASS = "CRD draws rows of its bank by their class; with mixup, use contrast='batch'"


class CRD(Loss):
    """The two networks' embeddings of one image attract each other, those of different images repel each other.

        s_j = exp(e . m_j / T) / Z;    h = s / (s + K/M),  K negatives out of M rows
        L = -mean over the batch of (log h(s_positive) + sum over negatives of log(1 - h(s_j))), for both networks

    e is the linear embedding of a network's features, of unit length; m_j, a row of the other network's memory bank, is
    its embedding of training image j. Tian, Krishnan and Isola, "Contrastive representation distillation", ICLR 2020,
    section 3.2 and eq. 18: https://arxiv.org/abs/1910.10699. As in both originals, Z is M times the mean of exp in the
    first batch, eps is added to s + K/M, and a row becomes momentum * row + (1 - momentum) * e, of unit length.

    Scores come from products with the whole bank, many times faster than from rows gathered for each negative, unless
    the bank has more than 70 rows for each; the same numbers, rounding apart. In train mode a hook on the embedding
    updates the bank as soon as the backward pass no longer needs it, so each forward pass may have one backward pass.
    If an image is in a batch twice, the last one counts. Negatives are drawn with replacement, where the originals'
    loaders draw without: the expected loss is the same.

    Soft labels are refused where classes matter: a row of the bank is one training image of one class, and a mixture
    of two has neither one row nor one class. Contrast "batch" takes neither index nor labels.

    Knowledge: relations of samples. Trained parts: an embedding of each network's features.

    Usual weight: 0.8, beside 1 of cross-entropy.

    Args:
        samples: M, the rows of the training set; by default the batch's entry ``size``, a scalar.
        width: features of an embedding.
        negatives: K.
        temperature: T; 0.1 in the Knowledge-Distillation-Zoo.
        momentum: of the memory bank.
        relaxed: the positive is any image of the same class, not the image itself.
        contrast: negatives are images of other "classes" (as in both originals' loaders; rows not met yet count as
            such), other "samples", or the rest of the "batch", which needs no bank: then K = N - 1 and M = N.
        eps: guards the division.

    Shapes: student (N, D), teacher (N, D'), further dimensions flattened; index (N,), rows of the training set;
    if classes matter, labels: class indices (N,) only; ``size`` () unless samples is given. `build` makes the
    embeddings and banks.

    Raises:
        BadInput: an index beyond the bank, no `build` before the first call, or labels that are not class indices.

    >>> import torch
    >>> from potstill.losses import CRD
    >>> CRD().taps
    ('student.pooled', 'teacher.pooled', 'index', 'labels', 'size')
    >>> batch = torch.randn(64, 64), torch.randn(64, 256), torch.arange(64), torch.arange(64) % 10, torch.tensor(5000)
    >>> loss = CRD(negatives=1024)
    >>> loss.build(*batch)
    >>> loss.memory_t.shape, loss(*batch).shape
    (torch.Size([5000, 128]), torch.Size([]))
    """

    whole_batch = True
    memory_s: Tensor
    memory_t: Tensor
    classes: Tensor  # of each row of the banks, -1 where not met yet
    lists: Tensor  # the rows by class; they follow from the classes, and are no part of the state
    log_z_s: Tensor  # infinite before the first batch
    log_z_t: Tensor

    @checked
    def __init__(
        self,
        samples: Count | None = None,
        width: Width = 128,
        negatives: Annotated[int, Range(1, 10**6)] = 16384,
        temperature: Temperature = 0.07,
        momentum: Fraction = 0.5,
        relaxed: bool = False,
        contrast: Literal["classes", "samples", "batch"] = "classes",
        eps: Epsilon = 1e-7,
    ) -> None:
        super().__init__()
        if relaxed and contrast == "batch":
            raise BadInput("CRD: contrast 'batch' has no bank to draw relaxed positives from")
        self.samples, self.width, self.negatives = samples, width, negatives
        self.temperature, self.momentum, self.eps = temperature, momentum, eps
        self.relaxed, self.contrast = relaxed, contrast
        self.has_bank = contrast != "batch"
        self.by_class = self.hard_labels = relaxed or contrast == "classes"
        extra = {"index": self.has_bank, "labels": self.by_class, "size": self.has_bank and samples is None}
        self.taps = ("student.pooled", "teacher.pooled", *(entry for entry, needed in extra.items() if needed))
        self.embed_s: nn.Module = nn.Identity()
        self.embed_t: nn.Module = nn.Identity()

    def build(self, student: Tensor, teacher: Tensor, *rest: Tensor) -> None:
        """Make the embeddings, and the banks: rows at random, of about unit length."""
        self.embed_s, self.embed_t = (_embedding(x, self.width).to(student) for x in (student, teacher))
        self.register_buffer("log_z_s", student.new_full((), torch.inf))
        self.register_buffer("log_z_t", student.new_full((), torch.inf))
        if not self.has_bank:
            return
        rows = int(rest[-1]) if self.samples is None else self.samples
        largest = int(rest[0].max())
        if largest >= max(rows, 2):
            raise BadInput(
                f"CRD: index {largest} is beyond a bank of samples={rows} rows; give the training set's size"
            )
        if rows * self.width > LARGEST_BANK:
            most = LARGEST_BANK // rows
            raise BadInput(f"CRD: {rows:,} rows of width={self.width} take gigabytes; {most:,} is the largest width")
        for name in ("memory_s", "memory_t"):
            bank = (2 * torch.rand(rows, self.width) - 1) * math.sqrt(3 / self.width)
            self.register_buffer(name, bank.to(student))
        if self.by_class:
            self.register_buffer("classes", torch.full((rows,), -1, device=student.device))
            self.register_buffer("lists", sorted_lists(self.classes), persistent=False)

    def forward(self, student: Tensor, teacher: Tensor, *rest: Tensor) -> Tensor:
        if not hasattr(self, "log_z_s"):
            raise BadInput("CRD: call build with a real batch before the first loss; a Distiller does so itself")
        if self.has_bank:
            return self.compare(student, teacher, rest[0], *self.draw(rest[0], rest[1] if self.by_class else None))
        e_s, e_t = self._embed(student, teacher)
        own = torch.arange(len(e_s), device=e_s.device)
        others = (own.unsqueeze(1) + own[1:]) % len(e_s)
        ours = self._side(e_s, e_t.detach(), own, others, self.log_z_s)
        return ours + self._side(e_t, e_s.detach(), own, others, self.log_z_t)

    def draw(self, index: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The rows of the banks to compare images with: a positive (N,) and negatives (N, K) for each."""
        same, negatives = index, torch.empty(0)
        if self.by_class:
            assert labels is not None, "CRD needs the labels to draw by class"
            labels = class_indices(labels, index, ONE_CLASS)
            move(self.lists, self.classes, index, labels)
            same, negatives = draw_by_class(labels, self.lists, self.negatives)
        if self.contrast == "samples":
            negatives = draw_others(index, self.negatives, len(self.memory_s))
        return same if self.relaxed else index, negatives

    def compare(self, student: Tensor, teacher: Tensor, index: Tensor, positive: Tensor, negatives: Tensor) -> Tensor:
        """The loss against given rows of the banks; its backward pass updates the rows ``index``."""
        e_s, e_t = self._embed(student, teacher)
        for embedding, bank, other in ((e_s, self.memory_t, e_t.detach()), (e_t, self.memory_s, e_s.detach())):
            if self.training and embedding.requires_grad:
                # The gradient of an embedding is complete once its products with the bank are differentiated.
                embedding.register_hook(  # type: ignore[no-untyped-call]
                    lambda _, bank=bank, new=other: update(bank, index, new, self.momentum)
                )
        ours = self._side(e_s, self.memory_t, positive, negatives, self.log_z_s)
        return ours + self._side(e_t, self.memory_s, positive, negatives, self.log_z_t)

    def _load_from_state_dict(self, *given: Any) -> None:
        """What `load_state_dict` calls of every module."""
        super()._load_from_state_dict(*given)
        if hasattr(self, "lists"):
            self.lists.copy_(sorted_lists(self.classes))

    def _embed(self, student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
        return unit_length(self.embed_s(student)), unit_length(self.embed_t(teacher))

    def _side(self, embedding: Tensor, bank: Tensor, positive: Tensor, negatives: Tensor, log_z: Tensor) -> Tensor:
        """One network's loss: logistic regression of "is the positive" on the scores, in log space."""
        scaled = embedding / self.temperature
        # Positives apart from negatives: what flows back into one score is then the same in any order.
        attracted = (scaled * bank[positive]).sum(dim=1)
        repelled = products(scaled, bank, negatives)
        log_z = self._normalisation(attracted.detach(), repelled.detach(), len(bank), log_z)
        ratio = negatives.shape[1] / len(bank)
        threshold = log_z + math.log(ratio + self.eps)
        loss = F.softplus(threshold - attracted).sum() + F.softplus(repelled - threshold).sum()
        return loss / len(embedding) + negatives.shape[1] * math.log1p(self.eps / (ratio or 1))

    def _normalisation(self, attracted: Tensor, repelled: Tensor, rows: int, log_z: Tensor) -> Tensor:
        """log Z: of the first batch, and constant from then on."""
        total = torch.logaddexp(attracted.logsumexp(0), repelled.flatten().logsumexp(0))
        fresh = total + math.log(rows / (len(attracted) + repelled.numel()))
        log_z_now = torch.where(log_z.isinf(), fresh, log_z)
        if self.training:
            log_z.copy_(log_z_now)
        return log_z_now


def _embedding(features: Tensor, width: int) -> nn.Module:
    linear = nn.Linear(features.flatten(1).shape[1], width)
    return nn.Sequential(OrderedDict(flat=nn.Flatten(), linear=linear))
