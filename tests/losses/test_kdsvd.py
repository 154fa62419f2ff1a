import pytest
import torch

from potstill.errors import BadInput
from potstill.losses import KDSVD


def maps(seed, *channels, side=4):
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(2, c, side, side, generator=generator).double() for c in channels]


def literal(student, teacher, k=1):
    """By full decompositions, for patterns of channels and maps without a negative entry."""
    total, before = 0.0, None
    for maps_s, maps_t in zip(student, teacher, strict=True):
        (_, values, v_t), (_, _, v_s) = (torch.linalg.svd(m.flatten(2).transpose(1, 2)) for m in (maps_t, maps_s))
        v_t, v_s, values = v_t[:, :k], v_s[:, : k + 3], torch.nn.functional.normalize(values[:, :k])
        v_t = v_t * torch.where(v_t.sum(2, keepdim=True) < 0, -1, 1)
        cosines = v_t @ v_s.transpose(1, 2)
        best = cosines.abs().argmax(2)
        signs = cosines.gather(2, best.unsqueeze(2)).sign()
        v_s = torch.stack([rows[chosen] for rows, chosen in zip(v_s, best, strict=True)]) * signs
        now = v_s * values.unsqueeze(2), v_t * values.unsqueeze(2)
        if before is not None:
            pairs = [a[..., :, None] - b[..., None, :] for a, b in zip(now, before, strict=True)]
            close = [torch.exp(-(pair**2) / 8) for pair in pairs]
            total = total + (close[0] - close[1]).square().sum() / len(maps_s)
        before = now
    return total


@pytest.mark.parametrize("k", [1, 2])
def test_equals_the_full_decomposition(k):
    student, teacher = maps(0, 4, 6, 6), maps(1, 4, 6, 6)
    torch.testing.assert_close(KDSVD(k)(student, teacher), literal(student, teacher, k))


def test_gradient_is_that_of_singular_vectors():
    teacher, student = maps(1, 4, 5), [m.requires_grad_() for m in maps(0, 4, 5)]
    assert torch.autograd.gradcheck(lambda *student: KDSVD()(student, teacher), student)


def test_positions_and_scale_do_not_matter():
    student, teacher = maps(0, 4, 6), maps(1, 4, 6)
    order = torch.randperm(16)
    moved = [3 * m.flatten(2)[:, :, order].view_as(m) for m in student]
    torch.testing.assert_close(KDSVD()(moved, teacher), KDSVD()(student, teacher))
    assert KDSVD()(moved, student) < 1e-12


def test_patterns_of_columns_are_those_of_the_transposed_map():
    student, teacher = maps(0, 4, 6), maps(1, 4, 6)
    turned = [[m.transpose(1, 3) for m in net] for net in (student, teacher)]
    torch.testing.assert_close(KDSVD(patterns="columns")(*turned), KDSVD()(student, teacher))
    KDSVD(patterns="columns")(student, maps(1, 5, 7))  # channels may differ


def test_sizes_may_differ_but_not_channels():
    student = maps(0, 4, 6)
    assert KDSVD()(student, maps(1, 4, 6, side=3)).isfinite()
    with pytest.raises(BadInput, match=r"channels.*\(2, 6, 4, 4\).* but .*\(2, 7, 4, 4\)"):
        KDSVD()(student, maps(1, 4, 7))


def test_equal_singular_values_have_a_finite_gradient():
    student = [torch.eye(4).view(1, 4, 2, 2).repeat(2, 1, 1, 1).double().requires_grad_() for _ in range(2)]
    KDSVD()(student, maps(1, 4, 4, side=2)).backward()
    assert all(m.grad.isfinite().all() for m in student)


def test_more_patterns_than_a_map_has_are_refused():
    maps = torch.randn(2, 8, 4, 4), torch.randn(2, 8, 1, 1)
    with pytest.raises(BadInput, match=r"KDSVD: k=3, but a map has 1 patterns only; give k=1"):
        KDSVD(k=3)(maps, maps)
