import pytest
import torch

from potstill.errors import BadInput
from potstill.losses import DKD, KD


def inputs(classes=6):
    generator = torch.Generator().manual_seed(0)
    student, teacher = (3 * torch.randn(4, classes, generator=generator).double() for _ in range(2))
    return student, teacher, torch.arange(4) % classes


def test_zero_at_equality():
    student, _, labels = inputs()
    assert DKD()(student, student, labels) == 0


def test_weighing_the_others_by_how_much_the_teacher_believes_in_them_gives_kd():
    """Eq. 6 of the paper: KD = TCKD + (1 - p_t of the label) * NCKD, sample by sample."""
    student, teacher, labels = inputs()
    for s, t, label in zip(student, teacher, labels, strict=True):
        doubt = 1 - (t / 4).softmax(dim=0)[label].item()
        value = DKD(alpha=1, beta=doubt)(s[None], t[None], label[None])
        torch.testing.assert_close(value, KD(temperature=4)(s[None], t[None]))


def test_with_two_classes_only_the_label_counts():
    student, teacher, labels = inputs(classes=2)
    torch.testing.assert_close(DKD(beta=8)(student, teacher, labels), KD()(student, teacher))
    assert DKD(alpha=0)(student, teacher, labels) == 0


def test_standardised_logits_may_be_scaled_and_shifted():
    student, teacher, labels = inputs()
    loss = DKD(standardize=True)
    torch.testing.assert_close(loss(5 * student - 3, teacher, labels), loss(student, teacher, labels))


def test_far_apart_logits_equal_float64():
    student, teacher, labels = inputs()
    expected = DKD()(200 * student, 200 * teacher, labels)
    value = DKD()(200 * student.float(), 200 * teacher.float(), labels)
    torch.testing.assert_close(value.double(), expected, rtol=1e-5, atol=0)


def test_refusals():
    student, teacher, labels = inputs()
    with pytest.raises(BadInput, match=r"\(4, 6\) and \(4, 5\)"):
        DKD()(student, teacher[:, :5], labels)
    with pytest.raises(BadInput, match="temperature"):
        DKD(temperature=0)
