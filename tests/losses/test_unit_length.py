import torch
import torch.nn.functional as F

from potstill.losses.unit_length import unit_length


def test_is_normalize_but_for_zeros():
    vectors = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(unit_length(vectors), F.normalize(vectors, dim=1))
    vectors[2] = 0
    vectors.requires_grad_()
    found = unit_length(vectors)
    assert not found[2].any()
    found.sum().backward()
    assert not vectors.grad[2].any()
    assert vectors.grad.isfinite().all()
