import pytest
import torch

from potstill.errors import BadInput
from potstill.losses import DIST


def pair(*shape):
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.randn(*shape, generator=generator).double() for _ in range(2))


def test_is_one_minus_the_correlations():
    student, teacher = pair(5, 4)
    y_s, y_t = (student / 2).softmax(dim=1), (teacher / 2).softmax(dim=1)

    def distance(rows, others):
        return torch.stack(
            [1 - torch.corrcoef(torch.stack(two))[0, 1] for two in zip(rows, others, strict=True)]
        ).mean()

    expected = 4 * (2 * distance(y_s, y_t) + 3 * distance(y_s.T, y_t.T))
    # The original's 1e-8 beside the lengths is 2e-7 of them here.
    torch.testing.assert_close(DIST(beta=2, gamma=3, temperature=2)(student, teacher), expected, rtol=1e-6, atol=0)


def test_zero_at_equality_and_shifts_of_logits_do_not_matter():
    student, teacher = pair(5, 4)
    assert DIST()(student, student) < 1e-6
    torch.testing.assert_close(DIST()(student + 7, teacher), DIST()(student, teacher))


def test_the_order_of_samples_does_not_matter():
    student, teacher = pair(5, 4)
    torch.testing.assert_close(DIST()(student.flip(0), teacher.flip(0)), DIST()(student, teacher))


def test_pixels_count_as_samples():
    student, teacher = pair(2, 4, 3, 5)
    rows = [m.permute(0, 2, 3, 1).reshape(-1, 4) for m in (student, teacher)]
    torch.testing.assert_close(DIST()(student, teacher), DIST()(*rows))


def test_refuses_other_classes():
    with pytest.raises(BadInput, match=r"\(5, 4\) and \(5, 3\)"):
        DIST()(pair(5, 4)[0], pair(5, 3)[1])
