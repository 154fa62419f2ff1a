import pytest
import torch

from potstill.errors import BadInput
from potstill.losses import KD, MLKD


def logits(seed):
    return torch.randn(6, 4, generator=torch.Generator().manual_seed(seed)).double()


def test_zero_at_equality_in_every_view():
    student, strong = logits(0), logits(1)
    assert MLKD()(student, student) == 0
    assert MLKD(views=2, corrected=True)((student, strong), (student, strong)) == 0


def test_its_divergence_is_half_of_kd_at_five_temperatures():
    student, teacher = logits(0), logits(1)
    divergence, classes, samples = MLKD(temperature=7).parts(student, teacher)
    torch.testing.assert_close(divergence, sum(KD(t)(student, teacher) for t in (7, 3, 5, 2, 6)) / 2)
    grams = [[(z / t).softmax(1) for z in (student, teacher)] for t in (7, 3, 5, 2, 6)]
    torch.testing.assert_close(samples, sum(((s @ s.T - t @ t.T) ** 2).sum() for s, t in grams) / 6 / 2)
    torch.testing.assert_close(classes, sum(((s.T @ s - t.T @ t) ** 2).sum() for s, t in grams) / 4 / 2)


def test_what_is_corrected_counts_the_less_sure_half_only():
    student, teacher = logits(0), logits(1)
    sure = teacher.softmax(1).amax(1) > teacher.softmax(1).amax(1).median()
    student[sure] = teacher[sure] + 1e-3 * logits(2)[sure]
    divergence, *_ = MLKD(corrected=True).parts(student, teacher)
    half = sum(KD(t)(student[~sure], teacher[~sure]) for t in (4, 3, 5, 2, 6)) / 2
    torch.testing.assert_close(divergence, half)


def test_refuses_other_views():
    with pytest.raises(BadInput, match=r"MLKD\(views=2\) takes logits of as many views"):
        MLKD(views=2)(logits(0), logits(1))
    with pytest.raises(BadInput, match="differ in shape"):
        MLKD()(logits(0), logits(1)[:, :3])
