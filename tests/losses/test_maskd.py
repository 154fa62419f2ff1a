import pytest
import torch
import torch.nn.functional as F

from potstill.errors import BadInput
from potstill.losses import MasKD
from potstill.losses.maskd import MaskLearning, Masks


def given(tokens=3, **settings):
    student, teacher = torch.randn(4, 5, 3, 2), torch.randn(4, 5, 3, 2)
    masks = Masks(tokens, **settings)
    masks.build(teacher)
    return masks, student, teacher


def test_masks_of_a_half_everywhere():
    masks, student, teacher = given()
    torch.nn.init.zeros_(masks.mask_token)
    loss = MasKD(masks)
    loss.build(student, teacher)
    torch.testing.assert_close(loss(student, teacher), F.mse_loss(student, teacher) / 2)
    with_student = MasKD(masks, student_masks=True)
    with_student.build(student, teacher)
    torch.testing.assert_close(with_student(student, teacher), F.mse_loss(student, teacher) / 4)
    torch.testing.assert_close(masks.overlap(teacher), torch.tensor(1.0))
    torch.testing.assert_close(masks(teacher), teacher / 2)
    masks.weighted = False
    torch.testing.assert_close(masks(teacher), teacher * 3 / 2)


def test_masks_that_are_given_stay_as_they_are_and_others_learn_from_the_teacher():
    masks, student, teacher = given()
    for loss, learned in ((MasKD(masks), False), (MasKD(), True)):
        loss.build(student, teacher)
        assert {p.requires_grad for p in loss.masks.parameters()} == {learned}
    loss(student, teacher).backward()
    gradient = loss.masks.mask_token.grad.clone()
    loss.zero_grad()
    loss(student + 1, teacher).backward()
    torch.testing.assert_close(loss.masks.mask_token.grad, gradient)


def test_masks_that_do_not_overlap():
    masks, _, teacher = given(tokens=2, weighted=False)
    masks.mask_token.data[:] = torch.stack([torch.ones(5), -torch.ones(5)]) * 1000
    assert masks.overlap(teacher) < 1e-6
    assert Masks(tokens=1).tokens == 1


def test_masks_of_another_width():
    masks, student, _ = given()
    with pytest.raises(BadInput, match="masks are none of the teacher's 7 channels"):
        MasKD(masks).build(student, torch.randn(4, 7, 3, 2))
    with pytest.raises(BadInput, match="train them on its map first"):
        MasKD(Masks()).build(student, student)


def test_masks_learn_by_the_teachers_task_alone():
    masks, labels, maps = Masks(2), torch.tensor([0, 1, 2]), torch.randn(3, 4, 2, 2)
    rest = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 3)).requires_grad_(False)
    loss = MaskLearning(masks, rest)
    loss.build(maps, labels)
    assert {name.split(".")[0] for name, _ in loss.named_parameters()} == {"masks"}
    value = loss(maps, labels)
    torch.testing.assert_close(value, F.cross_entropy(rest(masks(maps)), labels) + masks.overlap(maps))
    value.backward()
    assert masks.mask_token.grad.abs().sum() > 0
