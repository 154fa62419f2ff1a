import pytest
import torch

from potstill.losses import CTKD, DKD, KD
from potstill.losses.ctkd import at_temperatures


def built(**settings):
    torch.manual_seed(0)
    student, teacher = torch.randn(4, 6).double(), torch.randn(4, 6).double()
    loss = CTKD(**settings)
    loss.build(student)
    return loss, student, teacher


def test_is_its_base_at_the_learned_temperature():
    loss, student, teacher = built(epochs=0, standardize=True)
    temperature = 1 + 20 * torch.ones(()).sigmoid().item()
    expected = KD(temperature, standardize=True)(student, teacher)
    torch.testing.assert_close(loss(student, teacher).detach(), expected, rtol=1e-6, atol=0)
    loss, *_ = built(epochs=0, decoupled=True, beta=2)
    labels = torch.arange(4)
    expected = DKD(beta=2, temperature=temperature)(student, teacher, labels)
    torch.testing.assert_close(loss(student, teacher, labels).detach(), expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize(("epoch", "factor"), [(0, 0.0244717), (4, 0.5), (9, 1), (30, 1)])
def test_the_gradient_of_the_temperature_is_reversed_ever_more(epoch, factor):
    gradients = []
    for loss in (built(epochs=0)[0], built(epochs=10, strength=0.7)[0]):
        _, student, teacher = built()
        rest = [torch.tensor(float(epoch))] if loss.epochs else []
        loss(student, teacher, *rest).backward()
        gradients.append(loss.raw_temperature.grad.item())
    moved = built(epochs=0)[0]
    values = []
    for raw in (1 - 1e-6, 1 + 1e-6):
        moved.raw_temperature.data.fill_(raw)
        values.append(moved(student, teacher).item())
    assert gradients[0] == pytest.approx(-(values[1] - values[0]) / 2e-6, rel=1e-5)
    assert gradients[1] == pytest.approx(0.7 * factor * gradients[0], rel=1e-5)


def test_temperatures_of_samples_are_kd_at_each():
    _, student, teacher = built()
    temperatures = torch.tensor([1.0, 2.0, 5.0, 9.0]).double()
    alone = [
        KD(temperature.item())(s[None], t[None])
        for s, t, temperature in zip(student, teacher, temperatures, strict=True)
    ]
    value = at_temperatures(student, teacher, temperatures)
    torch.testing.assert_close(value, sum(alone) / 4, rtol=0, atol=2e-4)  # 1e-7 is added to probabilities
