import pytest
import torch

from potstill.distiller import Distiller, freeze
from potstill.errors import BadInput
from potstill.losses import FT
from potstill.losses.ft import Paraphraser, factor_loss
from potstill.networks import create
from potstill.term import Term


def maps(channels, seed):
    return torch.randn(4, channels, 6, 6, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def trained():
    paraphraser = Paraphraser(factor=0.25)
    paraphraser.build(maps(16, 1))
    return paraphraser


def test_the_scale_of_a_factor_does_not_matter_and_equal_factors_cost_nothing():
    student, teacher = maps(4, 0), maps(4, 1)
    torch.testing.assert_close(factor_loss(7 * student, teacher), factor_loss(student, teacher))
    assert factor_loss(3 * student, student) < 1e-7


def test_distance_is_that_of_unit_vectors():
    student, teacher = maps(4, 0).double(), maps(4, 1).double()
    difference = [s.flatten() / s.norm() - t.flatten() / t.norm() for s, t in zip(student, teacher, strict=True)]
    torch.testing.assert_close(factor_loss(student, teacher), torch.stack(difference).abs().mean())
    torch.testing.assert_close(factor_loss(student, teacher, p=2), torch.stack(difference).square().mean())


def test_the_order_of_channels_does_not_matter_to_repdistillers_factors():
    student, teacher = maps(4, 0), maps(6, 1)
    value = factor_loss(student, teacher, channel_power=2)
    torch.testing.assert_close(factor_loss(student.flip(1), teacher, channel_power=2), value)


def test_a_trained_paraphraser_is_frozen_and_does_not_drift(trained):
    loss = FT(trained)
    loss.build(maps(5, 0), maps(16, 1))
    before = {name: value.clone() for name, value in trained.state_dict().items()}
    loss.train()
    loss(maps(5, 0), maps(16, 1)).backward()
    assert all(torch.equal(value, trained.state_dict()[name]) for name, value in before.items())
    assert not any(parameter.requires_grad for parameter in trained.parameters())
    assert all(parameter.grad is not None for parameter in loss.encoder.parameters())


def test_its_own_paraphraser_learns_to_reconstruct_and_nothing_else():
    student, teacher = maps(5, 0), maps(16, 1)
    loss = FT()
    loss.build(student, teacher)
    loss(student, teacher).backward()
    gradients = {name: parameter.grad.clone() for name, parameter in loss.paraphraser.named_parameters()}
    loss.zero_grad()
    loss.paraphraser(teacher).backward()
    for name, parameter in loss.paraphraser.named_parameters():
        torch.testing.assert_close(parameter.grad, gradients[name])


def test_a_paraphraser_that_saw_nothing_is_refused():
    with pytest.raises(BadInput, match="never trained"):
        FT(Paraphraser()).build(maps(5, 0), maps(16, 1))


def test_two_stages_with_distillers():
    batch = {"images": torch.randn(4, 3, 8, 8), "labels": torch.arange(4)}
    teacher = freeze(create("resnet8x4", seed=1))
    paraphraser = Paraphraser()
    first = Distiller({"teacher": teacher}, [Term(paraphraser, "teacher.stage3")], example=batch)
    optimizer = torch.optim.SGD(first.parameters(), lr=0.05, momentum=0.9)
    errors = []
    for _ in range(15):
        error, _ = first(batch)
        error.backward()
        optimizer.step()
        optimizer.zero_grad()
        errors.append(error.item())
    assert errors[-1] < 0.8 * errors[0]
    networks = {"student": create("resnet8"), "teacher": teacher}
    second = Distiller(networks, [Term(FT(paraphraser), "student.stage3", "teacher.stage3")], example=batch)
    second(batch)[0].backward()
    assert networks["student"].conv1.weight.grad.norm() > 0
    assert all(parameter.grad is None for parameter in paraphraser.parameters())
