import pytest
import torch

from potstill.errors import BadInput
from potstill.losses import DKD, RLD


def inputs():
    generator = torch.Generator().manual_seed(0)
    return *(2 * torch.randn(5, 6, generator=generator).double() for _ in range(2)), torch.arange(5)


def test_is_dkd_where_the_teacher_is_right():
    student, teacher, _ = inputs()
    labels = teacher.argmax(1)
    expected = DKD(alpha=2, beta=3, temperature=4)(student, teacher, labels)
    torch.testing.assert_close(
        RLD(alpha=2, beta=3, temperature=4, own_temperature=4)(student, teacher, labels), expected
    )


def test_classes_that_the_teacher_prefers_to_the_label_do_not_matter():
    student, teacher, labels = inputs()
    above = teacher > teacher.gather(1, labels[:, None])
    changed = torch.where(above, 7.0, student)
    loss = RLD(alpha=0)
    torch.testing.assert_close(loss(changed, teacher, labels), loss(student, teacher, labels))
    assert loss(torch.where(above, student, student * 2), teacher, labels) != loss(student, teacher, labels)


def test_a_label_that_the_teacher_puts_last_leaves_nothing():
    student, teacher, _ = inputs()
    student.requires_grad_()
    value = RLD(alpha=0)(student, teacher, teacher.argmin(1))
    value.backward()
    assert value == 0
    assert (student.grad == 0).all()


def test_refuses_mixed_labels():
    student, teacher, _ = inputs()
    with pytest.raises(BadInput, match="with mixup, use KD"):
        RLD()(student, teacher, teacher.softmax(1))
