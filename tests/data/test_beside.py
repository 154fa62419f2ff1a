"""Labelled images with others beside them in every batch."""

import pytest
import torch

import potstill as ps
from potstill.answers.numbering import numbering
from potstill.batch import of_labelled
from potstill.data.augment import Augment
from potstill.data.beside import Beside
from potstill.data.digits import digits
from potstill.data.loader import Loader

STATISTICS = {"mean": (0.5,) * 3, "std": (0.25,) * 3}


def beside(labelled=20, others=17, each=6, batch_size=8):
    sets = [digits()[0], digits()[0].unlabelled()]
    loaders = [
        Loader(found, size, **STATISTICS, augment=Augment(1), seed=seed, rows=torch.arange(start, start + rows))
        for found, rows, size, seed, start in zip(
            sets, (labelled, others), (batch_size, each), (1, 2), (0, 100), strict=True
        )
    ]
    return Beside(*loaders)


def taken(loader, epoch, first=0):
    loader.set_epoch(epoch)
    return list(loader.from_batch(first))


def test_a_batch_has_the_labelled_rows_first():
    loader = beside()
    assert loader.sizes == [14, 14, 10]
    for batch, alone in zip(taken(loader, 0), taken(loader.labelled, 0), strict=True):
        count = len(alone["images"])
        assert torch.equal(batch["labels"], alone["labels"])
        assert torch.equal(batch["images"][:count], alone["images"])
        assert torch.equal(batch["view"][:count], alone["view"])
        assert len(batch["images"]) == len(batch["index"]) == len(batch["view"]) == count + 6
        rows = batch["index"][count:] - 1000  # as many images the labelled set has
        assert ((rows >= 100) & (rows < 117)).all()
        views = loader.others.images(rows, batch["view"][count:])
        assert torch.equal(batch["images"][count:], views)
        assert int(batch["size"]) == 2000


def test_the_others_have_passes_of_their_own_in_another_order_each():
    loader = beside()  # passes of 2 batches of 6 of 17, epochs of 3
    batches = [batch for epoch in range(4) for batch in taken(loader, epoch)]
    rows = [batch["index"][len(batch["labels"]) :].tolist() for batch in batches]
    passes = [[*rows[i], *rows[i + 1]] for i in range(0, 12, 2)]
    assert all(len({*one}) == 12 for one in passes)
    assert len({tuple(one) for one in passes}) == 6
    assert len({row for one in passes for row in one}) == 17


@pytest.mark.parametrize(
    ("others", "each", "expected"), [(5, 6, (5, 1)), (13, 6, (6, 1)), (7, 6, (7, 1)), (12, 6, (6, 2))]
)
def test_every_batch_has_as_many(others, each, expected):
    loader = beside(others=others, each=each)
    assert (loader.each, loader.whole) == expected
    sizes = {len(batch["images"]) - len(batch["labels"]) for epoch in range(2) for batch in taken(loader, epoch)}
    assert sizes == {loader.each}


@pytest.mark.parametrize("first", [0, 1, 2])
def test_it_goes_on_where_it_was_stopped_to_the_bit(first):
    whole = beside()
    expected = [taken(whole, epoch) for epoch in range(3)]
    for epoch in range(3):
        found = taken(beside(), epoch, first)
        assert len(found) == 3 - first
        for one, other in zip(found, expected[epoch][first:], strict=True):
            assert all(torch.equal(one[key], other[key]) for key in other)
    assert all(torch.equal(a["images"], b["images"]) for a, b in zip(taken(whole, 0), expected[0], strict=True))


def test_each_image_and_view_has_a_slot_of_its_own():
    loader = beside()
    data = ps.data.load("digits")
    numbered = numbering(ps.data.Data("x", data.classes, data.shape, (0.5,) * 3, (0.25,) * 3, loader, None, None), 3, 0)
    seen = {}
    for epoch in range(5):
        for batch in taken(loader, epoch):
            slots, _ = numbered.slots(batch["index"], batch["view"])
            assert slots.max() < numbered.rows * numbered.columns
            for slot, image in zip(slots.tolist(), batch["images"], strict=True):
                assert torch.equal(seen.setdefault(slot, image), image)
    assert numbered.sizes == loader.sizes
    assert numbered.rows == 2000


def test_what_takes_labels_sees_the_rows_that_have_one():
    values = {
        "images": torch.zeros(5, 1),
        "labels": torch.arange(3),
        "student": torch.arange(5.0),
        "weight": torch.ones(2),
    }
    found = of_labelled(values, ["student", "labels", "weight"])
    assert found["student"].tolist() == [0, 1, 2]
    assert len(found["images"]) == 3
    assert found["weight"] is values["weight"]
    whole = {**values, "labels": torch.arange(5)}
    assert of_labelled(whole, ["student", "labels"]) is whole
