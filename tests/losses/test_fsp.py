import pytest
import torch

from potstill.errors import BadInput
from potstill.losses import FSP
from potstill.losses.fsp import flow


def maps(seed, *shapes):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator) for shape in shapes]


def test_flow_is_the_mean_product_over_positions():
    first, second = maps(0, (2, 3, 4, 5), (2, 6, 4, 5))
    expected = torch.einsum("ncxy,ndxy->ncd", first, second) / 20
    torch.testing.assert_close(flow(first, second), expected)


def test_where_things_are_does_not_matter():
    student, teacher = (maps(seed, (2, 3, 4, 4), (2, 5, 4, 4)) for seed in (0, 1))
    order = torch.randperm(16)
    moved = [m.flatten(2)[:, :, order].view_as(m) for m in student]
    torch.testing.assert_close(FSP()(moved, teacher), FSP()(student, teacher))


def test_sums_over_consecutive_pairs():
    student, teacher = (maps(seed, (2, 3, 8, 8), (2, 4, 4, 4), (2, 5, 2, 2)) for seed in (0, 1))
    pairs = [FSP()(student[i : i + 2], teacher[i : i + 2]) for i in (0, 1)]
    torch.testing.assert_close(FSP()(student, teacher), sum(pairs))
    assert FSP()(student, student) == 0


def test_the_second_map_may_be_the_larger():
    small, large = maps(0, (2, 3, 4, 4), (2, 5, 8, 8))
    torch.testing.assert_close(flow(small, large), flow(large, small).transpose(1, 2))


@pytest.mark.parametrize("shapes", [[(2, 3, 4, 4), (2, 9, 4, 4)], [(2, 3, 4, 4)]])
def test_refuses_what_cannot_be_compared(shapes):
    with pytest.raises(BadInput, match=r"two or more.*\(2, 5, 4, 4\).* but .*\(2, 3, 4, 4\)"):
        FSP()(maps(0, (2, 3, 4, 4), (2, 5, 4, 4)), maps(1, *shapes))
    with pytest.raises(BadInput, match="two or more"):
        FSP()(maps(0, *shapes[:1]), maps(1, *shapes[:1]))
