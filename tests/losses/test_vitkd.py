import pytest
import torch

from potstill.errors import BadInput
from potstill.losses import ViTKD


def maps(width, seed, count=3):
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(4, width, 3, 2, generator=generator) for _ in range(count))


def built(**settings):
    student, teacher = maps(5, 0), maps(6, 1)
    loss = ViTKD(**settings)
    loss.build(student, teacher)
    loss.draw = lambda deep: torch.arange(6.0).expand(4, 6)  # the first tokens are kept
    return loss, student, teacher


def test_only_masked_tokens_are_to_be_made():
    loss, student, teacher = built(alpha=0, beta=0.5, ratio=0.4)
    value = loss(student, teacher)
    changed = teacher[2].clone()
    changed.flatten(2)[:, :, :3] += 1  # int(6 * 0.6) = 3 are kept
    assert torch.equal(loss(student, (*teacher[:2], changed)), value)
    other = student[2].clone()
    other.flatten(2)[:, :, 3:] += 1
    assert torch.equal(loss((*student[:2], other), teacher), value)
    changed.flatten(2)[:, :, 3:] += 1
    assert not torch.equal(loss(student, (*teacher[:2], changed)), value)


def test_shallow_maps_are_copied_token_by_token():
    loss, student, teacher = built(alpha=0.5, beta=0)
    errors = [
        align(own.permute(0, 2, 3, 1)) - target.permute(0, 2, 3, 1)
        for align, own, target in zip(loss.align_low, student, teacher, strict=False)
    ]
    torch.testing.assert_close(loss(student, teacher), 0.5 * sum(e.square().sum() for e in errors) / 4)
    assert len(errors) == 2


def test_maps_come_in_pairs():
    with pytest.raises(BadInput, match="3 maps of the student and 2 of the teacher"):
        ViTKD().build(maps(5, 0), maps(5, 1, count=2))
