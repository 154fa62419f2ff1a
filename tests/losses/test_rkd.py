import pytest
import torch
import torch.nn.functional as F

from potstill.errors import BadInput
from potstill.losses import RKD, rkd


def features(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).double()


def literal(student, teacher):
    """Distances and angles of all pairs and triples, in loops."""
    count, values = len(student), []
    for rows in (student, teacher):
        d = torch.stack([torch.stack([(a - b).norm() for b in rows]) for a in rows])
        c = [F.cosine_similarity(a - rows[i], b - rows[i], dim=0) for i in range(count) for a in rows for b in rows]
        values.append((d / (d.sum() / (count * (count - 1))), torch.stack(c)))
    (d_s, c_s), (d_t, c_t) = values
    return F.smooth_l1_loss(d_s, d_t), F.smooth_l1_loss(c_s, c_t)


@pytest.mark.parametrize("at_once", [1, 2**19], ids=["a corner at a time", "at once"])
def test_equals_the_pairs_and_triples(monkeypatch, at_once):
    monkeypatch.setattr(rkd, "MAX_ELEMENTS", at_once)
    student, teacher = features(0, 5, 4), features(1, 5, 7)
    distance, angle = literal(student, teacher)
    torch.testing.assert_close(RKD(1, 0)(student, teacher), distance)
    torch.testing.assert_close(RKD(0, 1)(student, teacher), angle)
    torch.testing.assert_close(RKD(25, 50)(student, teacher), 25 * distance + 50 * angle)


@pytest.mark.parametrize("at_once", [1, 2**19])
def test_gradient_of_angles(monkeypatch, at_once):
    monkeypatch.setattr(rkd, "MAX_ELEMENTS", at_once)
    student, teacher = features(0, 4, 3).requires_grad_(), features(1, 4, 5)
    assert torch.autograd.gradcheck(lambda x: RKD(0, 1)(x, teacher), student)


def test_moving_turning_and_scaling_the_figure_changes_nothing():
    student = features(0, 6, 5)
    rotation = torch.linalg.qr(features(1, 5, 5))[0]
    assert RKD()(3 * student @ rotation + 7, student) < 1e-12


def test_equal_samples_have_no_gradient_between_them():
    student, teacher = features(0, 1, 4).repeat(5, 1).requires_grad_(), features(1, 5, 4)
    RKD()(student, teacher).backward()
    assert not student.grad.any()
    pair = features(0, 4, 4)
    pair[1] = pair[0]
    pair.requires_grad_()
    RKD()(pair, teacher[:4]).backward()
    assert 0 < pair.grad.abs().max() < 100


def test_one_sample_has_no_relation():
    assert RKD()(features(0, 1, 4), features(1, 1, 4)) == 0


def test_refuses_no_weight():
    with pytest.raises(BadInput, match="both weights"):
        RKD(0, 0)
