import pytest
import torch
import torch.nn.functional as F

from potstill.errors import BadInput
from potstill.losses import KD, FunctionMatching, Logits
from potstill.losses.function_matching import agreement

STUDENT, TEACHER = torch.randn(2, 5, 6, generator=torch.Generator().manual_seed(0)).double()


def test_each_distance_by_another_loss():
    best = TEACHER.argmax(1)
    smoothed = torch.full((5, 6), 0.02).double().scatter(1, best[:, None], 0.9)
    expected = {
        "kl": KD(temperature=1)(STUDENT, TEACHER),
        "l2": Logits("batchmean")(STUDENT, TEACHER),
        "euclidean": (STUDENT - TEACHER).norm(dim=1).mean(),
        "logsoftmax_euclidean": (STUDENT.log_softmax(1) - TEACHER.log_softmax(1)).norm(dim=1).mean(),
        "hard": F.cross_entropy(STUDENT, best),
    }
    for distance, value in expected.items():
        torch.testing.assert_close(FunctionMatching(distance)(STUDENT, TEACHER), value)
    value = FunctionMatching("hard", smoothing=0.1)
    torch.testing.assert_close(value(STUDENT, TEACHER), KD(temperature=1)(STUDENT, smoothed.log()))


def test_agreement_among_the_largest():
    ranks = (STUDENT.gather(1, TEACHER.argmax(1, keepdim=True)) < STUDENT).sum(1)
    for k in (1, 3, 6):
        assert agreement(STUDENT, TEACHER, k).tolist() == (ranks < k).long().tolist()


def test_refuses_what_a_distance_does_not_have():
    with pytest.raises(BadInput, match="temperature is of distance 'kl'"):
        FunctionMatching("euclidean", temperature=2)
