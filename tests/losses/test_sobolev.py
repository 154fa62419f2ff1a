import pytest
import torch

from potstill.distiller import Distiller, freeze
from potstill.errors import BadInput
from potstill.losses import Sobolev
from potstill.networks import create
from potstill.term import Term


def linear(seed):
    weights = torch.randn(4, 3 * 2 * 2, generator=torch.Generator().manual_seed(seed)).double()
    return weights.requires_grad_()


@pytest.fixture
def images():
    return torch.randn(5, 3, 2, 2, generator=torch.Generator().manual_seed(9)).double().requires_grad_()


LABELS = torch.arange(5) % 4


def test_compares_the_label_rows_of_linear_networks(images):
    student, teacher = linear(0), linear(1)
    rows = [weights[LABELS] / weights[LABELS].norm(dim=1, keepdim=True) for weights in (student, teacher)]
    value = Sobolev()(images.flatten(1) @ student.T, images.flatten(1) @ teacher.T, LABELS, images)
    torch.testing.assert_close(value, (rows[0] - rows[1]).square().mean())


def test_scales_do_not_matter_and_gradients_stay_with_the_student(images):
    student, teacher = linear(0), linear(1)
    logits = images.flatten(1) @ student.T
    assert Sobolev()(logits, 7 * logits, LABELS, images) < 1e-30
    Sobolev()(logits, images.flatten(1) @ teacher.T, LABELS, images).backward()
    assert student.grad.norm() > 0
    assert teacher.grad is None


def test_trains_a_student_of_a_frozen_teacher():
    batch = {"images": torch.randn(4, 3, 8, 8), "labels": torch.arange(4)}
    networks = {"student": create("resnet8", seed=0), "teacher": freeze(create("resnet8", seed=1))}
    distiller = Distiller(networks, [Term(Sobolev(), *Sobolev.taps)], example=batch)
    total, _ = distiller(batch)
    total.backward()
    assert total.item() > 0
    assert networks["student"].conv1.weight.grad.norm() > 0
    assert all(parameter.grad is None for parameter in networks["teacher"].parameters())


def test_refuses_logits_without_a_graph(images):
    logits = images.flatten(1) @ linear(0).T
    with pytest.raises(BadInput, match="without autograd"):
        Sobolev()(logits, logits.detach(), LABELS, images)
    with pytest.raises(BadInput, match="not computed from these"):
        Sobolev()(logits, logits, LABELS, images.clone())
