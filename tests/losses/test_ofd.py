import pytest
import torch

from potstill.losses import OFD
from potstill.losses.ofd import batch_margin, bn_margin


def built(student, teacher, **settings):
    loss = OFD(**settings)
    loss.build(student, teacher)
    # A connector that passes everything on, to compare by hand.
    loss.eval()
    torch.nn.init.dirac_(loss.connector.conv.weight)
    loss.connector.bn.eps = 0.0
    return loss


@pytest.mark.parametrize(("weight", "bias"), [(1.0, 0.0), (-2.0, 1.0), (0.5, -3.0), (1.0, 2.5)])
def test_margin_is_the_mean_of_the_negative_outputs_of_a_batch_norm(weight, bias):
    outputs = weight * torch.randn(4_000_000, generator=torch.Generator().manual_seed(0)) + bias
    margin = bn_margin(torch.tensor([weight]), torch.tensor([bias]))
    assert margin.item() == pytest.approx(outputs[outputs < 0].mean().item(), rel=0.01)


def test_margin_of_channels_that_are_hardly_ever_or_always_negative():
    margin = bn_margin(torch.tensor([1.0, -0.5, 0.0, 0.0, 0.0]), torch.tensor([10.0, 4.0, -2.0, 2.0, 0.0]))
    assert margin.tolist() == [-3.0, -1.5, -2.0, 0.0, 0.0]


def test_margin_of_a_batch():
    maps = torch.tensor([[[[-1.0, -3.0, 0.5]], [[1.0, 2.0, 0.0]]]])
    assert batch_margin(maps).flatten().tolist() == pytest.approx([-2.0, 0.0], abs=1e-5)


def test_elements_that_are_silent_enough_do_not_count():
    teacher = torch.tensor([[[[-5.0, -0.5, -0.5, 0.8]]]])
    student = torch.tensor([[[[-0.5, -3.0, 0.5, 0.3]]]])
    loss = built(student, teacher, margin=[-1.0], reduction="batchmean")
    #   above the margin   below t: 0   above t      t > 0
    expected = (-0.5 + 1) ** 2 + 0 + (0.5 + 0.5) ** 2 + (0.8 - 0.3) ** 2
    assert loss(student, teacher).item() == pytest.approx(expected)
    loss.reduction = "mean"
    assert loss(student, teacher).item() == pytest.approx(expected / 4)


def test_a_given_margin_is_saved_and_the_batchs_is_not():
    maps = torch.zeros(2, 3, 2, 2)
    assert built(maps, maps, margin=torch.full((3,), -1.0)).state_dict()["margin"].shape == (1, 3, 1, 1)
    assert "margin" not in built(maps, maps).state_dict()
