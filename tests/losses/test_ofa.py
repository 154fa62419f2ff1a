import pytest
import torch
import torch.nn.functional as F

from potstill.errors import BadInput
from potstill.losses import KD, OFA


def test_of_logits_it_is_kd_and_the_teachers_entropy():
    student, teacher = torch.randn(2, 4, 6, generator=torch.Generator().manual_seed(0)).double()
    labels, loss = torch.arange(4), OFA(temperature=2)
    expected = KD(temperature=2)(student, teacher) / 4
    torch.testing.assert_close(loss(student, teacher, labels) - loss(teacher, teacher, labels), expected)
    p, y = teacher.softmax(1), F.one_hot(labels, 6)
    expected = F.cross_entropy(student, (p + y) ** 1.5 - y)
    torch.testing.assert_close(OFA(eps=1.5)(student, teacher, labels), expected)


def test_heads_halve_and_double_until_the_last_stage():
    maps = torch.randn(2, 4, 8, 8), torch.randn(2, 8, 4, 4)
    rest = torch.randn(2, 3), torch.tensor([0, 2])
    loss = OFA(eps=[1, 2], halvings=[2, 1], width=24)
    loss.build(maps, *rest)
    shapes = [tuple(block(maps[0]).shape) for block in (loss.projector[0][:1], loss.projector[0][:2])]
    assert shapes == [(2, 8, 4, 4), (2, 24, 2, 2)]
    loss.eval()
    alone = [OFA(eps)(head(m), *rest) for eps, head, m in zip([1, 2], loss.projector, maps, strict=True)]
    torch.testing.assert_close(loss(maps, *rest), sum(alone))


def test_the_width_is_that_of_the_wider_network():
    maps, rest = (torch.randn(2, 4, 8, 8), torch.randn(2, 8, 4, 4)), (torch.randn(2, 3), torch.tensor([0, 2]))
    for pooled, width in ((5, 8), (30, 30)):
        loss = OFA()
        loss.build(maps, *rest, torch.randn(2, pooled))
        assert [head[-1].in_features for head in loss.projector] == [width] * 2
    with pytest.raises(BadInput, match="OFA: 3 eps for 2 maps"):
        OFA(eps=[1, 1, 1], width=4)(rest[:1] * 2, *rest)
