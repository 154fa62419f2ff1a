import math

import pytest
import torch

from potstill.errors import BadInput
from potstill.losses import CC


def features(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).double()


def test_many_terms_are_the_gaussian_kernel():
    student, teacher = (torch.nn.functional.normalize(features(i, 5, 4 + i)) for i in (0, 1))
    kernels = [torch.exp(-0.4 * torch.cdist(x, x).square()) for x in (student, teacher)]
    expected = (kernels[0] - kernels[1]).square().mean()
    torch.testing.assert_close(CC(gamma=0.4, order=20)(student, teacher), expected)


def test_two_terms_by_hand():
    student, teacher = torch.eye(2).double(), torch.ones(2, 3).double()
    apart = math.exp(-0.8)  # cosine 0
    equal = apart * (1 + 0.8 + 0.8**2 / 2)  # cosine 1
    assert CC()(student, teacher).item() == pytest.approx((equal - apart) ** 2 / 2)


def test_only_directions_matter():
    student = features(0, 6, 5)
    rotation = torch.linalg.qr(features(1, 5, 5))[0]
    assert CC()((student * torch.arange(1, 7).unsqueeze(1)) @ rotation, student) < 1e-20


def test_neighbours_are_multiplied():
    student, teacher = torch.tensor([[1.0, 2], [3, -1], [0, 1]]), torch.zeros(3, 2)
    assert CC(kernel="neighbours")(student, teacher) == ((1 * 3 + 2 * 1) + (3 * 0 + 1 * 1)) / 2


def test_embeddings_bring_two_widths_together():
    student, teacher = features(0, 4, 3), features(1, 4, 5)
    with pytest.raises(BadInput, match=r"\(4, 3\) and \(4, 5\).*width="):
        CC(kernel="neighbours")(student, teacher)
    loss = CC(kernel="neighbours", width=6)
    loss.build(student, teacher)
    loss(student, teacher).backward()
    assert all(parameter.grad.any() for parameter in loss.parameters())
    assert len(list(loss.parameters())) == 4


def test_a_dead_row_gets_no_gradient():
    student, teacher = features(0, 4, 3), features(1, 4, 3)
    student[2] = 0
    student.requires_grad_()
    CC()(student, teacher).backward()
    assert not student.grad[2].any()
    assert 0 < student.grad.abs().max() < 1
