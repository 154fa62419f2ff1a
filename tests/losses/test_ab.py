import pytest
import torch

from potstill.losses import AB


def pair(channels=3):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 3, 4, 4, generator=generator), torch.randn(2, channels, 4, 4, generator=generator)


def test_is_zero_once_every_neuron_is_beyond_the_margin_on_the_teachers_side():
    _, teacher = pair()
    assert AB(margin=2)(teacher.sign() * 2.01, teacher) == 0
    assert AB(margin=2)(teacher.sign() * 1.99, teacher) > 0


def test_only_the_sign_of_the_teacher_matters():
    student, teacher = pair()
    assert torch.equal(AB()(student, teacher), AB()(student, teacher.sign()))


@pytest.mark.parametrize("margin", [0.5, 2.0])
def test_equals_the_squared_hinge(margin):
    student, teacher = pair()
    wanted = torch.where(teacher > 0, 1.0, -1.0)
    hinge = (margin - wanted * student).relu().square()
    torch.testing.assert_close(AB(margin)(student, teacher), hinge.mean())
    torch.testing.assert_close(AB(margin, reduction="batchmean")(student, teacher), hinge.sum() / 2)


def test_other_channels_get_a_connector():
    student, teacher = pair(channels=5)
    loss = AB()
    loss.build(student, teacher)
    assert loss.connector.conv.weight.shape == (5, 3, 1, 1)
    assert loss(student, teacher).isfinite()
