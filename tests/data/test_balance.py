"""Classes of unequal size: drawn as often, or weighed by rarity."""

from types import SimpleNamespace

import pytest
import torch

import potstill as ps
from potstill.data.balanced import drawn_balanced
from potstill.data.class_weights import class_weights
from potstill.data.files.order import Order
from potstill.errors import BadInput

LABELS = torch.tensor([0] * 60 + [1] * 30 + [2] * 9 + [3])


def test_every_class_comes_as_often_and_only_rows_that_are_asked_for():
    rows = torch.arange(10, 100)
    counts = torch.zeros(4)
    for seed in range(200):
        drawn = drawn_balanced(rows, LABELS, torch.Generator().manual_seed(seed))
        assert len(drawn) == len(rows)
        assert bool(torch.isin(drawn, rows).all())
        counts += LABELS[drawn].bincount(minlength=4)
    # 18,000 draws: four standard errors of a share of a quarter.
    assert (counts / counts.sum() - 0.25).abs().max() < 4 * (0.25 * 0.75 / 18_000) ** 0.5


def test_within_a_class_every_row_is_as_likely():
    drawn = torch.cat([drawn_balanced(torch.arange(100), LABELS, torch.Generator().manual_seed(s)) for s in range(300)])
    counts = drawn.bincount(minlength=100)[:60].double()
    assert (counts.mean() - 125).abs() < 10
    assert counts.std() < 2 * 125**0.5


def test_loaders_draw_so_and_their_test_images_stay_in_order():
    data = ps.data.load("digits", images=300, balanced=True, batch_size=50)
    index = [torch.cat([batch["index"] for batch in data.train]) for _ in range(2)]
    assert torch.equal(*index)
    assert len(index[0]) == 300 > len(index[0].unique())
    assert len(torch.cat([batch["index"] for batch in data.test]).unique()) == 797
    order = Order(torch.arange(100), 25, seed=0, shuffle=True, augment=False, labels=LABELS)
    rows = torch.tensor([row for items in order for row, _ in items])
    assert len(rows) == 100
    assert LABELS[rows].bincount(minlength=4).min() > 10


def test_weights_are_those_of_scikit_learn_balanced():
    train = SimpleNamespace(labels=LABELS, rows=torch.arange(100))
    data = SimpleNamespace(train=train, classes=("a", "b", "c", "d"), unlabelled=False, several=False)
    torch.testing.assert_close(class_weights(data), torch.tensor([100 / (4 * n) for n in (60, 30, 9, 1)]))
    train.rows = torch.arange(99)  # nothing of the last class
    assert class_weights(data)[3] == 0


def test_a_loader_that_keeps_its_labels_to_itself_is_refused():
    data = ps.data.from_loaders([(torch.zeros(2, 3, 4, 4), torch.tensor([0, 1]))], classes=2)
    with pytest.raises(BadInput, match="--balance weights needs the labels"):
        class_weights(data)
