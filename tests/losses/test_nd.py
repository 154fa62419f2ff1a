import pytest
import torch

from potstill.errors import BadInput
from potstill.losses import ND

LABELS = torch.tensor([0, 2, 2, 1, 0])


def features(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).double()


def literal(student, teacher, centers):
    values = []
    for s, t, label in zip(student, teacher, LABELS, strict=True):
        direction = centers[label] / centers[label].norm()
        values.append(1 - s @ direction / max(s.norm(), t.norm()))
    return torch.stack(values).mean()


def test_goes_along_the_means_of_the_classes():
    student, teacher, centers = 2 * features(0, 5, 4), features(1, 5, 4), features(2, 3, 4)
    torch.testing.assert_close(ND(centers)(student, teacher, LABELS), literal(student, teacher, centers))
    means = torch.stack([teacher[k == LABELS].mean(dim=0) for k in range(3)])
    torch.testing.assert_close(ND()(student, teacher, LABELS), literal(student, teacher, means))


def test_sees_the_whole_batch_where_its_means_come_from_it():
    assert ND().whole_batch
    assert not ND(features(0, 3, 4)).whole_batch


def test_length_matters_up_to_the_teachers():
    student, teacher, centers = features(0, 5, 4), features(1, 5, 4), features(2, 3, 4)
    long = 10 * student * (teacher.norm(dim=1) / student.norm(dim=1))[:, None]
    torch.testing.assert_close(ND(centers)(long, teacher, LABELS), ND(centers)(9 * long, teacher, LABELS))


def test_rows_of_zeros_give_1_and_no_gradient():
    student, teacher, centers = (
        torch.zeros(1, 4).double().requires_grad_(),
        torch.zeros(1, 4).double(),
        features(0, 1, 4),
    )
    loss = ND(centers)(student, teacher, torch.tensor([0]))
    loss.backward()
    assert loss == 1
    assert not student.grad.any()


def test_an_adapter_for_other_widths():
    same, other = ND(), ND()
    same.build(features(0, 5, 4), features(1, 5, 4), LABELS)
    other.build(features(0, 5, 4), features(1, 5, 6), LABELS)
    assert not list(same.parameters())
    assert not other.adapter.linear.bias.any()
    other(features(0, 1, 4), features(1, 1, 6), LABELS[:1])  # one row: the batch norm's running statistics


def test_refuses():
    with pytest.raises(BadInput, match="its one class"):
        ND()(features(0, 5, 4), features(1, 5, 4), torch.rand(5, 3))
    with pytest.raises(BadInput, match=r"centers \(3, 5\), but the teacher has 4 features"):
        ND(features(2, 3, 5)).build(features(0, 5, 4), features(1, 5, 4), LABELS)
