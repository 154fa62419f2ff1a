import pytest
import torch

from potstill.errors import BadInput
from potstill.losses import ABKD, KD

STUDENT, TEACHER = torch.randn(2, 7, 5, generator=torch.Generator().manual_seed(0)).double()
P, Q = TEACHER.softmax(1), STUDENT.softmax(1)


def test_known_divergences_are_members_of_the_family():
    torch.testing.assert_close(ABKD(1, 0)(STUDENT, TEACHER), KD(temperature=1)(STUDENT, TEACHER))
    torch.testing.assert_close(ABKD(0, 1)(STUDENT, TEACHER), KD(temperature=1)(TEACHER, STUDENT))
    hellinger = 2 * (P.sqrt() - Q.sqrt()).square().sum(1).mean()
    torch.testing.assert_close(ABKD(0.5, 0.5)(STUDENT, TEACHER), hellinger)
    torch.testing.assert_close(ABKD(1, 1)(STUDENT, TEACHER), (P - Q).square().sum(1).mean() / 2)


def test_its_limits_are_limits():
    for power in (0.5, 2):
        for near, limit in (((power, 0.01), (power, 0)), ((0.01, power), (0, power))):
            near, limit = ABKD(*near)(STUDENT, TEACHER), ABKD(*limit)(STUDENT, TEACHER)
            torch.testing.assert_close(near, limit, rtol=0.05, atol=0)


def test_refuses_what_is_nearly_0():
    with pytest.raises(BadInput, match="alpha 0.001 and beta 1 must be 0, or 0.01 and more"):
        ABKD(0.001, 1)
