"""The plan of an epoch costs what its first batches cost, and a fixed number of passes over the rows."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from potstill.data import Augment, ImageSet, Loader
from potstill.data.batch_sizes import batch_sizes
from potstill.data.files.decoding import PLAIN
from potstill.data.files.order import LAST_VIEW, Order
from potstill.data.seeds import EPOCH, FEWER, HOLDOUT, seeded
from potstill.data.split import split_rows

HALF = (0.5, 0.5, 0.5)


class Operations(TorchDispatchMode):
    """Counts the tensors that operations return; a sort is none that a plan can afford."""

    def __init__(self):
        super().__init__()
        self.tensors = 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        assert "sort" not in str(operation)
        result = operation(*args, **(kwargs or {}))
        self.tensors += len(result) if isinstance(result, list | tuple) else 1
        return result


def loader(rows, batch_size):
    images = ImageSet(torch.zeros(rows, 2, 2, 3, dtype=torch.uint8), torch.arange(rows) % 10)
    return Loader(images, batch_size, mean=HALF, std=HALF, augment=Augment(1), seed=3)


def until_the_first_batch(epoch):
    with Operations() as counted:
        next(iter(epoch))
    return counted.tensors


def test_the_first_batch_takes_as_many_operations_whatever_follows():
    assert until_the_first_batch(loader(512, 4)) == until_the_first_batch(loader(8192, 4))


def test_so_does_that_of_files():
    orders = [Order(torch.arange(rows), 4, seed=0, shuffle=True, augment=True) for rows in (64, 4096)]
    assert len({until_the_first_batch(order) for order in orders}) == 1


def test_so_does_holding_out():
    counts = []
    for rows in (64, 4096):
        with Operations() as counted:
            split_rows(rows, 20, 30, seed=1)
        counts.append(counted.tensors)
    assert counts[0] == counts[1]


@pytest.mark.parametrize(("rows", "batch_size", "first"), [(601, 4, 0), (601, 4, 70), (513, 8, 64), (20, 32, 0)])
def test_order_and_views_are_those_of_the_whole_plan(rows, batch_size, first):
    generator = seeded(3, EPOCH, 5)
    index, view = torch.randperm(rows, generator=generator), Augment(1).draw(rows, generator)
    sizes = batch_sizes(rows, batch_size, merged=True)
    wanted = list(zip(index.split(sizes), view.split(sizes), strict=True))[first:]
    made = loader(rows, batch_size)
    made.set_epoch(5)
    found = list(made.from_batch(first))
    assert len(found) == len(wanted)
    for batch, (some, seen) in zip(found, wanted, strict=True):
        assert torch.equal(batch["index"], some)
        assert torch.equal(batch["view"], seen)
        assert torch.equal(batch["labels"], some % 10)
    assert made.taken == len(sizes)


@pytest.mark.parametrize("augment", [True, False])
def test_those_of_files_too(augment):
    order = Order(torch.arange(100, 141), 4, seed=3, shuffle=True, augment=augment)
    order.epoch, order.first = 2, 3
    generator = seeded(3, EPOCH, 2)
    rows = torch.arange(100, 141)[torch.randperm(41, generator=generator)]
    views = torch.randint(PLAIN + 1, LAST_VIEW, (41,), generator=generator) if augment else torch.full((41,), PLAIN)
    items = list(zip(rows.tolist(), views.tolist(), strict=True))
    assert list(order) == [items[i : i + 4] for i in range(12, 36, 4)] + [items[36:]]


@pytest.mark.parametrize("holdout", [0, 7])
@pytest.mark.parametrize("images", [None, 9])
def test_rows_are_parted_as_sorting_parts_them(holdout, images):
    order = torch.randperm(40, generator=seeded(2, HOLDOUT))
    rest = order[holdout:].sort().values
    some = torch.arange(len(rest))
    if images is not None:
        some = torch.randperm(len(rest), generator=seeded(2, FEWER))[:images].sort().values
    held, trained = split_rows(40, holdout, images, seed=2)
    assert torch.equal(held, order[:holdout].sort().values)
    assert torch.equal(trained, rest[some])
