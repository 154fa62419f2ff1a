import numpy as np
import pytest
import torch

from potstill.errors import BadInput
from potstill.losses import ITRD


def features(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).double()


def built(loss, student, teacher):
    loss.build(student, teacher)
    return loss


def mutual(student, teacher):
    """Sums over all pairs of samples, in loops."""
    s, t = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (student.numpy(), teacher.numpy()))
    n = len(s)
    return sum((s[i] @ s[j] / n) ** 2 - (s[i] @ s[j] * (t[i] @ t[j]) / n) ** 2 for i in range(n) for j in range(n))


def test_correlations_of_features_over_the_batch():
    student, teacher = features(0, 6, 3), features(1, 6, 4)
    loss = built(ITRD(1, 0, alpha=1.2), student, teacher)
    embedded = loss.embed(student).detach().numpy()
    correlations = [np.corrcoef(embedded[:, d], teacher.numpy()[:, d])[0, 1] * 5 / 6 for d in range(4)]
    expected = np.log2(sum(((c - 1) ** 2) ** 1.2 for c in correlations))
    assert loss(student, teacher).item() == pytest.approx(expected, rel=1e-12)


def test_samples_alike_in_both():
    student, teacher = features(0, 5, 4), features(1, 5, 4)
    loss = built(ITRD(0, 2), student, teacher)
    assert not list(loss.parameters())  # nothing that is not trained
    assert loss(student, teacher).item() == pytest.approx(2 * mutual(student, teacher), rel=1e-12)
    both = built(ITRD(1, 2), student, teacher)  # whose embedding is not for this part
    assert (both(student, teacher) - built_part(both)(student, teacher)).item() == pytest.approx(
        2 * mutual(student, teacher), rel=1e-9
    )


def built_part(loss):
    """Its correlations alone."""
    part = ITRD(1, 0)
    part.embed = loss.embed
    return part


@pytest.mark.parametrize("value", [0.0, 0.1])
def test_a_dead_feature_of_the_teacher_has_correlation_0(value):
    student, teacher = features(0, 9, 3), features(1, 9, 2)
    loss = built(ITRD(1, 0), student, teacher)
    teacher[:, 1] = value
    loss(student, teacher).backward()
    assert not loss.embed.weight.grad[1].any()
    correlation = np.corrcoef(loss.embed(student)[:, 0].detach(), teacher[:, 0])[0, 1] * 8 / 9
    assert loss(student, teacher).item() == pytest.approx(np.log2((1 - correlation) ** 3 + 1), rel=1e-12)


def test_refuses_no_weight():
    with pytest.raises(BadInput, match="both weights"):
        ITRD(0, 0)
