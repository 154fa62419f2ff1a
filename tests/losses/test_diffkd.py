import pytest
import torch

from potstill.losses import DiffKD
from potstill.losses.denoising import denoise, kept_signal


def test_signals_fade_as_in_the_originals():
    kept = kept_signal()
    assert len(kept) == 1000
    torch.testing.assert_close(kept[0], torch.tensor(1 - 1e-4).double())
    torch.testing.assert_close(kept[1] / kept[0], torch.tensor(1 - 1e-4 - 0.0199 / 999).double())
    assert 3e-5 < kept[-1] < 5e-5


def test_who_knows_the_noise_gets_the_signal_back():
    kept, seen = kept_signal(), []
    signal, noise = torch.randn(3, 4, 2, 2).double(), torch.randn(3, 4, 2, 2).double()

    def knows(maps, steps):
        seen.append(steps.tolist())
        expected = kept[steps[0]].sqrt() * signal + (1 - kept[steps[0]]).sqrt() * noise
        torch.testing.assert_close(maps, expected)
        return noise

    start = kept[400].sqrt() * signal + (1 - kept[400]).sqrt() * noise
    torch.testing.assert_close(denoise(start, kept, 5, knows), signal)
    assert seen == [[t] * 3 for t in (400, 300, 200, 100, 0)]


def test_the_student_does_not_teach_the_autoencoder():
    student, teacher = torch.randn(4, 3, 2, 2), torch.randn(4, 6, 2, 2)
    loss = DiffKD(autoencoder=5)
    loss.build(student, teacher)
    gradients = []
    for own in (student, student + 1):
        loss.zero_grad()
        loss(own, teacher).backward()
        gradients.append(loss.autoencoder["encoder"].conv.weight.grad.clone())
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("scale", [0.0, 1.0, 10_000.0])
def test_logits_of_any_scale(scale):
    student, teacher = (scale * torch.randn(4, 6)).requires_grad_(), scale * torch.randn(4, 6)
    loss = DiffKD(temperature=2)
    loss.build(student, teacher)
    value = loss(student, teacher)
    value.backward()
    assert value.isfinite()
    assert all(p.grad.isfinite().all() for p in (student, *loss.parameters()))


def test_steps_repeat_with_the_seed():
    loss, features = DiffKD(), torch.randn(4, 6)
    loss.build(features, features)
    loss.eval()
    values = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        values.append(loss(features, features))
    assert torch.equal(*values[:2])
    assert not torch.equal(*values[1:])
