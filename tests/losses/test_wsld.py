import torch
import torch.nn.functional as F

from potstill.losses import KD, WSLD


def test_the_weight_of_a_sample_and_its_soft_label():
    torch.manual_seed(0)
    student, teacher, labels = torch.randn(4, 6).double(), torch.randn(4, 6).double(), torch.arange(4)
    total = 0
    for s, t, y in zip(student, teacher, labels, strict=True):
        weight = 1 - torch.exp(-F.cross_entropy(s, y) / F.cross_entropy(t, y))
        entropy = -((t / 3).softmax(0) * (t / 3).log_softmax(0)).sum()
        total += weight * (KD(temperature=3)(s[None], t[None]) + 9 * entropy)
    torch.testing.assert_close(WSLD(temperature=3)(student, teacher, labels), total / 4)


def test_the_weight_gets_no_gradient():
    student, teacher = torch.zeros(1, 3, requires_grad=True), torch.zeros(1, 3)
    WSLD()(student, teacher, torch.tensor([0])).backward()
    assert (student.grad.abs() < 1e-7).all()  # the two agree, and only the weight could still move
