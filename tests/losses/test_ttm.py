import torch

from potstill.losses import KD, TTM


def test_is_kd_with_the_temperature_on_the_teacher_alone():
    student, teacher = (3 * torch.randn(2, 5, 6, generator=torch.Generator().manual_seed(0))).double()
    torch.testing.assert_close(TTM(gamma=0.25)(student, teacher), KD(temperature=1)(student, teacher / 4))
    powers = teacher.softmax(1).pow(0.25).sum(1)
    apart = torch.stack([TTM(gamma=0.25)(s[None], t[None]) for s, t in zip(student, teacher, strict=True)])
    torch.testing.assert_close(TTM(gamma=0.25, weighted=True)(student, teacher), (powers * apart).mean())


def test_what_float32_cannot_hold_as_a_probability_still_counts():
    student, teacher = torch.zeros(1, 3), torch.tensor([[0.0, -200.0, -210.0]])
    expected = TTM(gamma=0.01)(student.double(), teacher.double())
    torch.testing.assert_close(TTM(gamma=0.01)(student, teacher).double(), expected, rtol=1e-5, atol=0)
