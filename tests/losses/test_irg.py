import pytest
import torch
import torch.nn.functional as F

from potstill.errors import BadInput
from potstill.losses import IRG


def network(seed, count=4, channels=(3, 6), side=4):
    generator = torch.Generator().manual_seed(seed)
    shapes = [(channels[0], 2 * side, 2 * side), (channels[1], side, side), (channels[1],), (5,)]
    return tuple(torch.randn(count, *shape, generator=generator).double() for shape in shapes)


def unit_maximum(values):
    return values / values.max()


def test_vertices_are_logits():
    student, teacher = network(0), network(1)
    torch.testing.assert_close(IRG(1, 0, 0)(student, teacher), F.mse_loss(student[3], teacher[3]))


def test_edges_are_squared_distances():
    student, teacher = network(0), network(1, channels=(4, 8))
    parts = []
    for pair in zip(student[:3], teacher[:3], strict=True):
        d_s, d_t = (unit_maximum(torch.cdist(x.flatten(1), x.flatten(1)).square()) for x in pair)
        parts.append((d_s - d_t).square().mean())
    torch.testing.assert_close(IRG(0, 1, 0)(student, teacher), sum(parts) / 3)


def test_transformations_are_moves_through_a_stage():
    student, teacher = network(0), network(1, channels=(2, 8))
    moves = []
    for (first, second, *_), ratio in ((student, 2), (teacher, 4)):
        narrow = sum(second[:, i::ratio] for i in range(ratio)) / ratio
        moves.append(unit_maximum((narrow - F.avg_pool2d(first, 2)).square().sum((1, 2, 3))))
    torch.testing.assert_close(IRG(0, 0, 1)(student, teacher), F.mse_loss(*moves))


def test_order_of_samples_moving_and_scaling_do_not_matter():
    student, teacher = network(0), network(1)
    loss = IRG(0, 1, 0)
    moved = tuple(3 * x + 100 for x in student)
    torch.testing.assert_close(loss(moved, teacher), loss(student, teacher))
    flipped = [tuple(x.flip(0) for x in net) for net in (student, teacher)]
    torch.testing.assert_close(loss(*flipped), loss(student, teacher))
    assert IRG()(student, student) == 0


def test_equal_samples_are_at_distance_zero_in_float32():
    student = tuple(x.float()[:1].expand_as(x) * 1.1 for x in network(0))
    teacher = tuple(x.float() for x in network(1))
    edges = [unit_maximum(torch.cdist(x.flatten(1), x.flatten(1)).square()) for x in teacher[:3]]
    torch.testing.assert_close(IRG(0, 1, 0)(student, teacher), sum(edge.square().mean() for edge in edges) / 3)


def test_a_common_offset_costs_no_digits():
    student, teacher = ([1000 + x.float() for x in network(seed)] for seed in (0, 1))
    exact = IRG(0, 1, 0)([x.double() for x in student], [x.double() for x in teacher])
    torch.testing.assert_close(IRG(0, 1, 0)(student, teacher).double(), exact, rtol=1e-5, atol=0)


def test_refuses_channels_that_do_not_group_and_no_weight():
    with pytest.raises(BadInput, match=r"\(4, 3, 4, 4\) and \(4, 7, 4, 4\)"):
        IRG()(network(0, channels=(3, 7)), network(1))
    with pytest.raises(BadInput, match="weights"):
        IRG(0, 0, 0)
