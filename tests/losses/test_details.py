"""Details of single losses that larger tests do not tell apart: found by tools/mutation_test.py."""

import math

import pytest
import torch
import torch.nn.functional as F

from potstill.errors import BadInput
from potstill.losses import AB, AFD, AT, BSS, CRD, IRG, RKD, VID, ReviewKD, Sobolev
from potstill.losses.connector import BatchNorm
from potstill.losses.labels import class_indices
from potstill.losses.sizes import pool_to_smaller


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_one_attacked_image_is_averaged_over_one():
    student, teacher = draw(1, 5), draw(1, 5, seed=1)
    both = BSS()(student.repeat(2, 1), teacher.repeat(2, 1))
    torch.testing.assert_close(BSS()(student, teacher), both)


def test_a_teacher_of_exactly_0_is_not_active():
    student, teacher = torch.full((1, 1, 1, 1), 0.5), torch.zeros(1, 1, 1, 1)
    assert AB(margin=1)(student, teacher).item() == pytest.approx(1.5**2)
    assert AB(margin=1)(student - 3, teacher) == 0


def test_distances_of_many_close_points_far_away_are_those_of_float64():
    # With squares and products instead of differences, float32 has no digit left of these.
    features = 1000 + draw(40, 8) / 100
    teacher = draw(40, 8, seed=1)
    exact = RKD()(features.double(), teacher.double())
    torch.testing.assert_close(RKD()(features, teacher).double(), exact, rtol=1e-3, atol=0)


def test_the_type_of_wrong_labels_is_named_shortly():
    with pytest.raises(BadInput, match=r"^labels of shape \(2,\) and type float32 are not class indices"):
        class_indices(torch.zeros(2), torch.zeros(2, 3), "reason")


def test_the_guard_of_at_is_the_one_that_was_asked_for():
    student, teacher = 1e-3 * draw(2, 3, 4, 4), draw(2, 3, 4, 4, seed=1)
    maps = [features.square().mean(1).flatten(1) for features in (student, teacher)]
    expected = F.mse_loss(maps[0] / maps[0].norm(dim=1, keepdim=True).clamp(min=0.1), F.normalize(maps[1], dim=1))
    torch.testing.assert_close(AT(eps=0.1)(student, teacher), expected)


def test_reviewkd_of_one_map_and_what_a_fusion_is_made_of():
    loss = ReviewKD()
    student, teacher = (draw(2, 4, 8, 8),), (draw(2, 5, 8, 8, seed=1),)
    loss.build(student, teacher)
    assert loss(student, teacher).isfinite()
    kinds = [type(module) for name in ("enter", "leave") for module in getattr(loss.fusions[0], name)]
    assert kinds == [torch.nn.Conv2d, BatchNorm] * 2


def test_irg_without_edges_ignores_relations():
    maps = (draw(4, 2, 4, 4), draw(4, 4, 2, 2), draw(4, 4), draw(4, 3))
    other = (*maps[:2], draw(4, 4, seed=5), maps[3])
    assert IRG(vertex=1, edge=0, transformation=1)(maps, other) == 0
    assert IRG(vertex=1, edge=1, transformation=1)(maps, other) > 0


@pytest.mark.parametrize("squeeze", [0.01, 0.5])
def test_afd_squeezes_to_one_channel_at_least(squeeze):
    loss = AFD(squeeze=squeeze)
    loss.build(draw(2, 4, 4, 4), draw(2, 4, 4, 4))
    assert loss.attention.reduce.out_channels == max(1, int(4 * squeeze))


def test_vid_starts_at_its_variance_exactly():
    loss = VID(variance=0.3, eps=0.1)
    loss.build(draw(2, 3, 4, 4), draw(2, 5, 4, 4))
    torch.testing.assert_close(F.softplus(loss.raw_variance) + 0.1, torch.full((5,), 0.3))


def test_a_memory_bank_starts_within_its_bounds():
    loss = CRD(width=16, negatives=4)
    batch = draw(4, 8), draw(4, 8, seed=1), torch.arange(4), torch.arange(4), torch.tensor(50)
    loss.build(*batch)
    banks = [value for name, value in loss.named_buffers() if value.shape == (50, 16)]
    assert len(banks) == 2
    for bank in banks:
        assert math.sqrt(3 / 16) * 0.9 < bank.abs().max() <= math.sqrt(3 / 16)


@pytest.mark.parametrize("eps", [1e-5, 0.5])
def test_a_single_value_a_channel_is_normalised_by_the_running_statistics(eps):
    layer = BatchNorm(3, eps=eps)
    with torch.no_grad():
        layer.bias.copy_(torch.tensor([1.0, 2.0, 3.0]))
        layer.weight.fill_(2.0)
        layer.running_mean.fill_(0.5)
        layer.running_var.fill_(4.0)
    values = torch.tensor([5.0, 6.0, 7.0]).reshape(1, 3, 1, 1)
    expected = 2 * (values.flatten() - 0.5) / math.sqrt(4 + eps) + layer.bias
    torch.testing.assert_close(layer(values).flatten(), expected)


def test_reviewkd_refuses_other_numbers_of_maps_than_it_was_built_for():
    loss = ReviewKD()
    maps = draw(2, 4, 8, 8), draw(2, 4, 4, 4)
    loss.build(maps, maps)
    with pytest.raises(ValueError, match="zip"):
        loss(maps[:1], maps[:1])


def test_maps_of_other_dimensions_are_not_pooled():
    with pytest.raises(ValueError, match="zip"):
        pool_to_smaller(draw(2, 3, 4, 4), draw(2, 3, 4))


def test_a_loss_that_needs_the_graph_takes_named_inputs():
    images = draw(3, 4).requires_grad_()
    student, teacher, labels = images @ draw(4, 5), images @ draw(4, 5, seed=1), torch.arange(3)
    named = Sobolev()(student, teacher, labels=labels, images=images)
    torch.testing.assert_close(named, Sobolev()(student, teacher, labels, images))
