import numpy as np
import torch

from potstill.losses import KD, SKD

STUDENT, TEACHER = torch.randn(2, 5, 6, generator=torch.Generator().manual_seed(0)).double()


def test_lengths_by_the_inverse_covariance_as_numpy_has_it():
    unit = [z / np.linalg.norm(z, axis=1, keepdims=True) for z in (STUDENT.numpy(), TEACHER.numpy())]
    d = unit[0] @ unit[0].T - unit[1] @ unit[1].T
    inverse = np.linalg.inv(np.cov(d, rowvar=False) + 0.1 * np.eye(5))
    expected = np.mean([np.sqrt(row @ inverse @ row) for row in d])
    assert abs(SKD(alpha=0)(STUDENT, TEACHER).item() - expected) < 1e-12
    torch.testing.assert_close(SKD(beta=0)(STUDENT, TEACHER), KD(temperature=4)(STUDENT, TEACHER) / 16)


def test_equal_directions_are_no_reason_for_an_infinite_gradient():
    student = TEACHER.clone().requires_grad_()
    SKD()(student, TEACHER).backward()
    assert student.grad.isfinite().all()
