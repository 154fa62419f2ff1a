import pytest
import torch
import torch.nn.functional as F

from potstill.errors import BadInput
from potstill.losses import SemCKD


def maps(rows=5, shapes=((4, 6, 6), (6, 3, 3)), seed=0):
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(rows, *shape, generator=generator) for shape in shapes)


def test_missing_images_are_ones_of_zeros():
    student, teacher = maps(), maps(seed=1)
    loss = SemCKD(batch=8)
    loss.build(student, teacher)
    filled = [tuple(F.pad(m, (0, 0, 0, 0, 0, 0, 0, 3)) for m in each) for each in (student, teacher)]
    attention = loss.attention(student, teacher)
    torch.testing.assert_close(attention, loss.attention(*filled)[:5])
    torch.testing.assert_close(attention.sum(dim=2), torch.ones(5, 2))


def test_with_one_map_of_the_teacher_there_is_no_choice():
    student, teacher = maps(), maps(shapes=((5, 6, 6),), seed=1)
    loss = SemCKD(batch=5)
    loss.build(student, teacher)
    loss.eval()
    pooled = [student[0], F.adaptive_avg_pool2d(student[1], 3)], [teacher[0], F.adaptive_avg_pool2d(teacher[0], 3)]
    expected = sum(F.mse_loss(loss.regressor[i][0](pooled[0][i]), pooled[1][i]) for i in range(2)) / 2
    torch.testing.assert_close(loss(student, teacher), expected)


def test_batches_that_are_too_large_and_batches_of_nothing():
    loss = SemCKD(batch=4)
    loss.build(maps(4), maps(4))
    with pytest.raises(BadInput, match=r"batches of 4 images at most; write SemCKD\(batch=5\)"):
        loss(maps(5), maps(5))
    with pytest.raises(BadInput, match="batch=3 images make no feature with factor=4"):
        SemCKD(batch=3)
