import pytest
import torch
import torch.nn.functional as F

from potstill.distiller import Distiller, freeze
from potstill.errors import BadInput
from potstill.losses import ReviewKD
from potstill.losses.reviewkd import hierarchical_loss
from potstill.networks import create
from potstill.term import Term


def maps(*shapes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(2, *shape, generator=generator) for shape in shapes)


STUDENT = maps((4, 8, 8), (6, 4, 4), (6,))
TEACHER = maps((5, 8, 6), (7, 6, 4), (9,), seed=1)


def test_hierarchical_loss_level_by_level():
    (student,), (teacher,) = maps((3, 9, 6)), maps((3, 9, 6), seed=1)
    levels = [(student, teacher)] + [[F.adaptive_avg_pool2d(m, n) for m in (student, teacher)] for n in (4, 2, 1)]
    weighted = sum(F.mse_loss(*pair) / 2**i for i, pair in enumerate(levels))
    torch.testing.assert_close(hierarchical_loss(student, teacher), weighted / 1.875)


def test_levels_that_are_not_smaller_than_the_shorter_side_are_left_out():
    (student,), (teacher,) = maps((3, 9, 2)), maps((3, 9, 2), seed=1)
    means = F.mse_loss(student.mean(dim=(2, 3)), teacher.mean(dim=(2, 3)))
    expected = (F.mse_loss(student, teacher) + means / 2) / 1.5
    torch.testing.assert_close(hierarchical_loss(student, teacher), expected)


def test_hierarchical_loss_is_zero_at_equality():
    assert hierarchical_loss(STUDENT[0], STUDENT[0]) == 0


@pytest.mark.parametrize(
    ("target", "learns"), [(0, [True, True, True]), (1, [False, True, True]), (2, [False, False, True])]
)
def test_a_teacher_map_teaches_the_students_map_and_all_deeper_ones(target, learns):
    torch.manual_seed(1)  # batch norm over two samples lets little through, and of some weights next to nothing
    loss = ReviewKD()
    loss.build(STUDENT, TEACHER)
    student = tuple(m.clone().requires_grad_() for m in STUDENT)
    other = tuple(3 * m if i == target else m for i, m in enumerate(TEACHER))
    (loss(student, TEACHER) - loss(student, other)).backward()
    assert [bool(m.grad.norm() > 0) for m in student] == learns


def test_every_teacher_map_counts():
    loss = ReviewKD().eval()
    loss.build(STUDENT, TEACHER)
    value = loss(STUDENT, TEACHER)
    for i in range(3):
        other = [2 * m if i == j else m for j, m in enumerate(TEACHER)]
        assert loss(STUDENT, tuple(other)) != value


def test_refuses_other_numbers_of_maps():
    with pytest.raises(BadInput, match="3 maps of the student and 2 of the teacher"):
        ReviewKD().build(STUDENT, TEACHER[:2])


def test_its_usual_taps_exist_and_a_last_batch_of_one_sample_trains():
    batch = {"images": torch.randn(3, 3, 8, 8), "labels": torch.arange(3)}
    networks = {"student": create("resnet8"), "teacher": freeze(create("wrn-10-2", seed=1))}
    distiller = Distiller(networks, [Term(ReviewKD(), *ReviewKD.taps)], example=batch)
    for size in (3, 1):
        total, _ = distiller({name: value[:size] for name, value in batch.items()})
        total.backward()
        assert total.isfinite()
    assert all(p.grad is not None for p in distiller.losses.parameters())
