"""Class lists that are kept in order draw what sorting all rows anew would draw, bit for bit."""

import copy

import pytest
import torch

from potstill.losses import CRD
from potstill.losses.class_lists import draw_by_class, move, sorted_lists
from potstill.losses.memory_bank import HIGH, draw_outside

ROWS = 37


def drawn_by_sorting(labels, known, count):
    """As it was done before there were lists."""
    classes, order = known.sort(stable=True)
    start = torch.searchsorted(classes, labels)
    length = torch.searchsorted(classes, labels, right=True) - start
    same = order[start + torch.randint_like(labels, HIGH) % length]
    return same, order.take(draw_outside(start, length, count, len(known)))


def batches(seed):
    """Rows that come twice in a batch, come again as another class, or stay what they were."""
    generator = torch.Generator().manual_seed(seed)
    for size in (1, 8, 30, 64, 5, 37):
        yield torch.randint(ROWS, (size,), generator=generator), torch.randint(5, (size,), generator=generator)


@pytest.mark.parametrize("seed", range(4))
def test_lists_are_as_sorted_and_draw_the_same_rows(seed):
    known = torch.full((ROWS,), -1)
    classes, lists = known.clone(), sorted_lists(known)
    for index, labels in batches(seed):
        for row, label in zip(index.tolist(), labels.tolist(), strict=True):
            known[row] = label
        move(lists, classes, index, labels)
        assert torch.equal(classes, known)
        assert torch.equal(lists, sorted_lists(known))
        torch.manual_seed(seed)
        wanted = drawn_by_sorting(known[index], known, 9)
        torch.manual_seed(seed)
        found = draw_by_class(known[index], lists, 9)
        assert all(torch.equal(one, other) for one, other in zip(found, wanted, strict=True))


def test_a_state_is_as_before_there_were_lists_and_brings_them_back():
    loss = CRD(ROWS, width=4, negatives=5)
    features = torch.randn(8, 6), torch.randn(8, 6)
    index, labels = torch.arange(8) * 3, torch.arange(8) % 3
    loss.build(*features, index)
    other = copy.deepcopy(loss)
    loss(*features, index, labels).backward()
    state = loss.state_dict()
    assert {key for key in state if not key.startswith("embed")} == {
        "log_z_s", "log_z_t", "memory_s", "memory_t", "classes"
    }  # fmt: skip
    other.load_state_dict(state)
    assert torch.equal(other.lists, loss.lists)
    assert not torch.equal(other.lists, sorted_lists(torch.full((ROWS,), -1)))
