"""The rows of a memory bank by class: one sorted list of numbers, kept in order as the classes of rows become known.

A row's number is ``class * rows + row``, so that the rows of a class stand together, and in their own order: as a
stable sort of all rows by class would have them, which takes longer. Nothing here waits for the device.
"""

import torch
from torch import Tensor

from potstill.losses.memory_bank import HIGH, draw_outside, last_of_each


def sorted_lists(classes: Tensor) -> Tensor:
    """The lists (M,) of rows of these ``classes`` (M,), from scratch.

    >>> sorted_lists(torch.tensor([1, 0, -1, 1]))  # row 2 has no class yet
    tensor([-2,  1,  4,  7])
    """
    return _number(classes, torch.arange(len(classes), device=classes.device), len(classes)).sort().values


def move(lists: Tensor, classes: Tensor, index: Tensor, labels: Tensor) -> None:
    """Have the rows ``index`` (N,) be of the classes ``labels`` (N,) from now on, in ``lists`` and ``classes`` (M,).

    One pass over the lists: each number moves by as many places as were taken out and put in before it. Of an index
    given twice, the last one counts.
    """
    rows = len(lists)
    place = torch.arange(len(index), device=index.device)
    last = last_of_each(index)
    labels, counts = labels[last], last == place
    old, new = _number(classes[index], index, rows), _number(labels, index, rows)
    out, into = torch.searchsorted(lists, old), torch.searchsorted(lists, new)
    shift = torch.zeros(rows + 1, dtype=torch.int64, device=lists.device)
    shift.index_add_(0, out + 1, -counts.long()).index_add_(0, into, counts.long())
    target = shift.cumsum(0)[:rows].add_(torch.arange(rows, device=lists.device))
    nowhere = torch.full_like(index, rows)  # one place too many, for what is to be forgotten
    target[out] = nowhere
    before = ((out < into.unsqueeze(1)) & counts).sum(1), ((new < new.unsqueeze(1)) & counts).sum(1)
    moved = torch.empty(rows + 1, dtype=torch.int64, device=lists.device).scatter_(0, target, lists)
    moved.scatter_(0, torch.where(counts, into - before[0] + before[1], nowhere), new)
    lists.copy_(moved[:rows])
    classes[index] = labels


def draw_by_class(labels: Tensor, lists: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Draw for each image rows (N,) of the same class and rows (N, count) of other classes, uniformly.

    ``labels`` (N,) are the images' classes, as int64; ``lists`` (M,) those of the rows. Where there is no other class,
    negatives are of the same.
    """
    rows = len(lists)
    start = torch.searchsorted(lists, labels * rows)
    length = torch.searchsorted(lists, (labels + 1) * rows) - start
    same = lists[start + torch.randint_like(labels, HIGH) % length] % rows
    return same, lists.take(draw_outside(start, length, count, rows)) % rows


def _number(classes: Tensor, rows: Tensor, size: int) -> Tensor:
    return classes * size + rows
