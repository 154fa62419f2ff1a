import torch

from potstill.losses import BKD


def test_every_class_is_a_question_and_the_answers_are_equal_at_the_least():
    student, teacher = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0)).double()
    p, q = teacher.softmax(1), student.sigmoid()
    torch.testing.assert_close(BKD()(student, teacher), -(p * q.log() + (1 - p) * (1 - q).log()).mean())
    best = torch.logit(p).requires_grad_()
    BKD()(best, teacher).backward()
    assert best.grad.abs().max() < 1e-15
