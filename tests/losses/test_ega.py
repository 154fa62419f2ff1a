import numpy as np
import pytest
import torch

from potstill.errors import BadInput
from potstill.losses import EGA


def features(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).double()


def test_is_made_of_correlations_between_samples():
    student, teacher = features(0, 5, 6), features(1, 5, 6)
    correlations = np.corrcoef(teacher, student)  # of the rows of both
    node = np.linalg.norm(correlations[:5, 5:] - np.eye(5))
    edge = np.linalg.norm(correlations[:5, :5] - correlations[5:, 5:])
    assert EGA(2, 0)(student, teacher).item() == pytest.approx(2 * node, rel=1e-12)
    assert EGA(0, 3)(student, teacher).item() == pytest.approx(3 * edge, rel=1e-12)
    assert EGA()(student, teacher).item() == pytest.approx(node + 0.3 * edge, rel=1e-12)


def test_a_constant_sample_is_correlated_with_none():
    student, teacher = features(0, 5, 6), features(1, 5, 6)
    student[2] = 0.1
    student.requires_grad_()
    EGA()(student, teacher).backward()
    assert not student.grad[2].any()
    assert student.grad[[0, 1, 3, 4]].abs().min() > 0


def test_embeds_other_widths_only():
    same, other = EGA(), EGA()
    same.build(features(0, 4, 6), features(1, 4, 6))
    other.build(features(0, 4, 6), features(1, 4, 9))
    assert [len(list(loss.parameters())) for loss in (same, other)] == [0, 2]
    assert other(features(0, 4, 6), features(1, 4, 9)).isfinite()


def test_refuses_no_weight():
    with pytest.raises(BadInput, match="both weights"):
        EGA(0, 0)
