import numpy as np
import pytest
import torch
import torch.nn.functional as F

from potstill.errors import BadInput
from potstill.losses import CE, KD, NORM, NORMLogits
from potstill.networks.bridges import Expansion


def test_every_part_becomes_the_teachers_map():
    parts, teacher = [torch.randn(3, 4, 2, 3) for _ in range(5)], torch.randn(3, 4, 2, 3)
    expected = sum(F.mse_loss(part, teacher) for part in parts)
    torch.testing.assert_close(NORM()(torch.cat(parts, dim=1), teacher), expected)


def test_the_larger_map_is_max_pooled():
    student, teacher = torch.randn(3, 8, 2, 6), torch.randn(3, 4, 4, 3)
    expected = NORM()(F.max_pool2d(student, (1, 2)), F.max_pool2d(teacher, (2, 1)))
    torch.testing.assert_close(NORM()(student, teacher), expected)


@pytest.mark.parametrize("channels", [3, 6])
def test_channels_that_are_no_copies(channels):
    with pytest.raises(BadInput, match=f"student's {channels} channels are no multiple of the teacher's 4"):
        NORM()(torch.randn(2, channels, 3, 3), torch.randn(2, 4, 3, 3))


def test_an_expansion_adds_what_came_back():
    expansion, maps = Expansion(3, 4, copies=2).eval(), torch.randn(2, 3, 5, 5)
    assert expansion.expand(maps).shape == (2, 8, 5, 5)
    torch.testing.assert_close(expansion(maps) - maps, expansion.reduce(expansion.expand(maps)))


def test_logits_are_normalised_by_the_deviation_of_all_classes():
    student, teacher, labels = torch.randn(4, 6), 5 * torch.randn(4, 6), torch.arange(4)
    given = [x.double().numpy() for x in (student, teacher)]
    own, target = (
        torch.tensor(2.5 * (x - x.mean(axis=1, keepdims=True)) / np.sqrt(x.var(axis=1, keepdims=True) + 1e-7))
        for x in given
    )
    expected = 0.5 * CE()(own, labels) + 2 * KD(3)(own, target)
    value = NORMLogits(ce=0.5, kd=2, temperature=3)(student, teacher, labels)
    torch.testing.assert_close(value.double(), expected, rtol=1e-5, atol=1e-6)
