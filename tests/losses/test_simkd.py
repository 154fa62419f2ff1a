import torch
import torch.nn.functional as F

from potstill.losses import SimKD


def test_each_axis_is_pooled_to_the_smaller_one():
    student, teacher = torch.randn(3, 4, 6, 2), torch.rand(3, 8, 3, 4)
    loss = SimKD()
    loss.build(student, teacher)
    loss.eval()
    expected = loss(F.avg_pool2d(student, (2, 1)), F.avg_pool2d(teacher, (1, 2)))
    torch.testing.assert_close(loss(student, teacher), expected)


def test_the_transfer_narrows_to_one_channel_at_least():
    loss = SimKD(factor=100)
    loss.build(torch.randn(2, 4, 3, 3), torch.randn(2, 8, 3, 3))
    assert [m.out_channels for m in loss.modules() if isinstance(m, torch.nn.Conv2d)] == [1, 1, 8]
    assert (loss.transfer(torch.randn(2, 4, 3, 3)) >= 0).all()


def test_a_transfer_in_the_student_is_not_made_again():
    student, teacher = torch.rand(2, 8, 3, 3), torch.rand(2, 8, 6, 6)
    loss = SimKD(transfer=False)
    loss.build(student, teacher)
    assert not [*loss.parameters()]
    torch.testing.assert_close(loss(student, teacher), F.mse_loss(student, F.avg_pool2d(teacher, 2)))
