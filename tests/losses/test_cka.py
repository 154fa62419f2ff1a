import numpy as np
import pytest
import torch

from potstill.losses import CKA


def features(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).double()


@pytest.mark.parametrize("sigma", [None, 2.0])
def test_is_the_cosine_of_doubly_centred_kernels(sigma):
    student, teacher = features(0, 6, 4), features(1, 6, 7)
    kernels = []
    for x in (student.numpy(), teacher.numpy()):
        kernel = x @ x.T if sigma is None else np.exp(-((x[:, None] - x) ** 2).sum(2) / (2 * sigma**2))
        center = np.eye(6) - 1 / 6
        kernels.append(center @ kernel @ center)
    k, other = kernels
    expected = 1 - (k * other).sum() / np.sqrt((k * k).sum() * (other * other).sum())
    loss = CKA() if sigma is None else CKA("rbf", sigma)
    assert loss(student, teacher).item() == pytest.approx(expected, rel=1e-12)


def test_scale_rotation_and_offset_do_not_matter():
    student = features(0, 8, 5)
    rotation = torch.linalg.qr(features(1, 5, 5))[0]
    assert CKA()(1e9 * student @ rotation + 7, student) < 1e-12


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
def test_equal_features_are_like_no_others(kernel):
    student = features(0, 1, 5).expand(7, 5).clone().requires_grad_()
    loss = CKA(kernel)(student, features(1, 7, 3))
    loss.backward()
    assert loss == 1
    assert not student.grad.any()
