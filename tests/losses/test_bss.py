import pytest
import torch
from torch import nn

from potstill.losses import BSS, KD
from potstill.losses.bss import BoundaryAttack, attack_classes, base_samples, boundary_attack
from potstill.networks import create

LABELS, TARGETS = torch.tensor([0, 1, 2]), torch.tensor([1, 2, 0])


def images():
    return torch.randn(3, 3, 2, 2, generator=torch.Generator().manual_seed(0))


def linear():
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    generator = torch.Generator().manual_seed(1)
    nn.init.normal_(network[1].weight, generator=generator)
    return network


def test_loss_is_kd_without_its_factor():
    student, teacher = images().flatten(1), images().flatten(1).flip(0)
    torch.testing.assert_close(9 * BSS(temperature=3)(student, teacher), KD(temperature=3)(student, teacher))


def test_loss_of_no_images_is_zero_and_can_be_minimised():
    student = torch.zeros(0, 5, requires_grad=True)
    loss = BSS()(student, torch.zeros(0, 5))
    loss.backward()
    assert loss.shape == ()
    assert loss == 0


def test_attack_moves_images_from_label_to_target_until_they_cross():
    network, start = linear(), images()
    labels = network(start).argmax(dim=1)
    targets = (labels + 1) % 3
    before, after = (network(x).softmax(dim=1) for x in (start, boundary_attack(network, start, labels, targets)))
    rows = torch.arange(3)
    gains = (after - before)[rows, targets] - (after - before)[rows, labels]
    assert (gains > 0).all()
    attacked = boundary_attack(network, start, labels, targets, steps=100, step_size=2.0, limit=100.0)
    assert (network(attacked).argmax(dim=1) != labels).all()
    again = boundary_attack(network, attacked, labels, targets)
    assert torch.equal(again, attacked.clamp(-2.5, 2.5))


def test_attack_leaves_an_image_with_zero_gradient_alone():
    network = linear()
    nn.init.zeros_(network[1].weight)
    nn.init.zeros_(network[1].bias)
    attacked = boundary_attack(network, images(), torch.zeros(3, dtype=torch.long), TARGETS, limit=100.0)
    assert torch.equal(attacked, images())


def test_attack_moves_an_image_whose_gradient_is_tiny():
    network, start = linear(), images()[:1]
    top, target = network(start).topk(2).indices[0].split(1)
    with torch.no_grad():
        gap = network(start)[0, top] - network(start)[0, target]
        network[1].weight.mul_(60 / gap)  # then the target's probability is e^-60, whose square float32 has not
        network[1].bias.mul_(60 / gap)
    assert network(start).softmax(dim=1)[0, target] < 1e-25
    attacked = boundary_attack(network, start, top, target, steps=1, limit=100.0)
    assert (attacked - start).norm().item() == pytest.approx(0.3, rel=1e-3)


@pytest.mark.parametrize("frozen", [True, False])
def test_attack_touches_nothing_of_the_network(frozen):
    network = create("resnet8").eval().requires_grad_(not frozen)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with torch.no_grad():
        attacked = boundary_attack(network, torch.randn(3, 3, 8, 8), LABELS, TARGETS, steps=2)
    assert not attacked.requires_grad
    assert all(parameter.grad is None for parameter in network.parameters())
    assert all(torch.equal(value, network.state_dict()[name]) for name, value in before.items())


def test_base_samples_are_those_that_both_get_right_the_most_different_first():
    teacher = 4 * torch.eye(3)[[0, 1, 2, 0, 1]]
    labels = torch.tensor([0, 1, 2, 0, 2])  # the teacher is wrong about the last
    student = teacher.clone()
    student[0, 1] = 5.0  # the student is wrong about the first
    student[2, 0], student[3, 1] = 2.0, 1.0
    assert base_samples(student, teacher, labels, most=5).tolist() == [1, 2, 3]
    assert base_samples(student, teacher, labels, most=2).tolist() == [2, 3]
    assert base_samples(-teacher, teacher, labels, most=5).tolist() == []


def test_attack_classes_follow_the_teachers_probabilities():
    teacher = torch.tensor([0.5, 0.3, 0.15, 0.05]).log().expand(20_000, 4)
    uniform = torch.rand(20_000, generator=torch.Generator().manual_seed(0))
    shares = attack_classes(teacher, uniform).bincount(minlength=4) / 20_000
    torch.testing.assert_close(shares, torch.tensor([0.0, 0.6, 0.3, 0.1]), rtol=0, atol=0.015)


def test_soft_labels_are_attacked_as_their_likeliest_class():
    network = create("resnet8", seed=0).eval()
    batch = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    logits = network(batch).detach()
    labels = logits.argmax(1)
    soft = 0.7 * torch.nn.functional.one_hot(labels, 10).float() + 0.03
    attack = BoundaryAttack(network, most=2)
    results = []
    for given in (labels, soft):
        torch.manual_seed(1)
        results.append(attack(batch, given, logits + 0.1 * torch.arange(10), logits))
    assert len(results[0]) == 2
    assert torch.equal(*results)
