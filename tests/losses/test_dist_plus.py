import pytest
import torch

from potstill.errors import BadInput
from potstill.losses import DIST, DISTPlus


def inputs():
    generator = torch.Generator().manual_seed(0)
    draw = [
        (torch.randn(4, 6, 3, 2, generator=generator).double(), torch.randn(4, 5, generator=generator).double())
        for _ in range(2)
    ]
    return draw


def test_without_maps_it_is_dist():
    student, teacher = inputs()
    loss = DISTPlus(beta=2, gamma=3, iota=0, kappa=0, temperature=2)
    # DIST adds 1e-8 to a product of lengths.
    torch.testing.assert_close(loss(student, teacher), DIST(2, 3, 2)(student[1], teacher[1]), rtol=1e-6, atol=0)


def test_channels_and_positions_are_correlations():
    (s, _), (t, _) = student, teacher = inputs()
    at = [(i, y, x) for i in range(4) for y in range(3) for x in range(2)]
    channels = [torch.corrcoef(torch.stack([s[i, :, y, x], t[i, :, y, x]]))[0, 1] for i, y, x in at]
    places = [torch.corrcoef(torch.stack([m.sum(1)[:, y, x] for m in (s, t)]))[0, 1] for _, y, x in at[:6]]
    mean = torch.stack(channels).mean()
    value = DISTPlus(0, 0, iota=1, kappa=0)(student, teacher)
    torch.testing.assert_close(value, 1 - mean, rtol=1e-6, atol=0)
    torch.testing.assert_close(DISTPlus(0, 0, 1, 0, as_ported=True)(student, teacher), mean, rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(DISTPlus(0, 0, 0, kappa=1)(student, teacher), 1 - torch.stack(places).mean())


def test_refuses_other_shapes():
    student, teacher = inputs()
    with pytest.raises(BadInput, match="maps .* differ in shape"):
        DISTPlus()(student, (teacher[0][:, :3], teacher[1]))
