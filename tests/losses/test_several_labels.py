"""BCE and SigmoidKD, against their equations in float64."""

import pytest
import torch
from torch import nn

from potstill.errors import BadInput
from potstill.losses import BCE, SigmoidKD

GENERATOR = torch.Generator().manual_seed(0)
STUDENT, TEACHER = (2 * torch.randn(5, 4, generator=GENERATOR, dtype=torch.float64) for _ in range(2))
LABELS = (torch.rand(5, 4, generator=GENERATOR) < 0.4).float()


def test_bce_is_torchs_own():
    assert torch.equal(BCE()(STUDENT, LABELS), nn.BCEWithLogitsLoss()(STUDENT, LABELS.double()))
    torch.testing.assert_close(BCE("batchmean")(STUDENT, LABELS), 4 * BCE()(STUDENT, LABELS))
    soft = 0.3 * LABELS + 0.2
    assert torch.equal(BCE()(STUDENT, soft), nn.BCEWithLogitsLoss()(STUDENT, soft.double()))


def test_of_one_class_an_image_the_others_are_not_there():
    classes = torch.tensor([3, 0, 1, 2, 3])
    assert torch.equal(BCE()(STUDENT, classes), BCE()(STUDENT, torch.eye(4)[classes]))
    with pytest.raises(BadInput, match="do not fit logits"):
        BCE()(STUDENT, LABELS[:, :3])


@pytest.mark.parametrize("temperature", [1.0, 4.0])
@pytest.mark.parametrize(("reduction", "factor"), [("mean", 1), ("batchmean", 4)])
def test_sigmoid_kd_is_the_divergence_of_two_outcomes_a_class(temperature, reduction, factor):
    total = 0.0
    for z_s, z_t in zip(STUDENT.flatten(), TEACHER.flatten(), strict=True):
        s, t = torch.sigmoid(z_s / temperature), torch.sigmoid(z_t / temperature)
        total += t * torch.log(t / s) + (1 - t) * torch.log((1 - t) / (1 - s))
    expected = factor * temperature**2 * total / STUDENT.numel()
    torch.testing.assert_close(SigmoidKD(temperature, reduction)(STUDENT, TEACHER), expected, rtol=1e-12, atol=0)
    assert SigmoidKD(temperature, reduction)(TEACHER, TEACHER) == 0


def test_its_gradient_is_the_difference_of_the_probabilities():
    student = STUDENT.clone().requires_grad_()
    SigmoidKD(reduction="batchmean")(student, TEACHER).backward()
    torch.testing.assert_close(student.grad, (STUDENT.sigmoid() - TEACHER.sigmoid()) / 5)
