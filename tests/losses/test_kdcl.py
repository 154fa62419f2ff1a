import torch

from potstill.losses import KD, KDCL

ONE, OTHER, THIRD = torch.randn(3, 4, 6, generator=torch.Generator().manual_seed(0)).double()
LABELS = torch.arange(4)


def test_is_kd_from_the_least_believer_in_each_wrong_class():
    target = torch.empty(4, 6).double()
    for i, label in enumerate(LABELS):
        for c in range(6):
            target[i, c] = min(z[i, c] - z[i, label] for z in (ONE, OTHER, THIRD))
    value = KDCL(temperature=3)(ONE, (OTHER, THIRD), LABELS)
    torch.testing.assert_close(value, KD(temperature=3)(ONE, target))


def test_networks_that_believe_more_teach_nothing():
    bolder = ONE + 5
    bolder[torch.arange(4), LABELS] -= 5
    assert KDCL()(ONE, bolder, LABELS) == 0
    assert KDCL()(bolder, ONE, LABELS) > 0
