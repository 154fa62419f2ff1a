import torch

from potstill.losses import AFD


def built(channels=4, **settings):
    generator = torch.Generator().manual_seed(0)
    student = torch.randn(3, channels, 5, 4, generator=generator)
    teacher = torch.randn(3, 4, 5, 4, generator=generator)
    loss = AFD(**settings)
    loss.build(student, teacher)
    return loss, student, teacher


def test_zero_at_equality_and_for_any_positive_scale_of_a_channel():
    loss, _, teacher = built()
    assert loss(teacher, teacher) == 0
    scales = torch.tensor([1.0, 2.0, 3.0, 40.0])[:, None, None]
    assert loss(scales * teacher, teacher) < 1e-12


def test_channels_weigh_one_in_all():
    loss, student, teacher = built()
    for layer in (loss.attention.reduce, loss.attention.expand):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    units = [m.flatten(2) / m.flatten(2).norm(dim=2, keepdim=True) for m in (student, teacher)]
    torch.testing.assert_close(loss(student, teacher), (units[0] - units[1]).square().mean())


def test_a_batch_of_one_is_the_mean_of_its_samples():
    loss, student, teacher = built(squeeze=0.5)
    singles = [loss(s[None], t[None]) for s, t in zip(student, teacher, strict=True)]
    torch.testing.assert_close(loss(student, teacher), torch.stack(singles).mean())


def test_other_channels_get_a_connector():
    loss, student, teacher = built(channels=6)
    assert loss.connector.conv.weight.shape == (4, 6, 1, 1)
    assert loss(student, teacher).isfinite()
