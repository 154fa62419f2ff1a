import torch

from potstill.losses import CD


def pair(channels=3):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 3, 4, 4, generator=generator), torch.randn(2, channels, 6, 6, generator=generator)


def test_where_a_channel_is_active_does_not_matter():
    student, teacher = pair()
    moved = student.flatten(2)[:, :, torch.randperm(16)].view_as(student)
    torch.testing.assert_close(CD()(moved, teacher), CD()(student, teacher))


def test_is_the_squared_difference_of_means():
    student, teacher = pair()
    expected = [
        [(s.mean() - t.mean()) ** 2 for s, t in zip(*rows, strict=True)] for rows in zip(student, teacher, strict=True)
    ]
    torch.testing.assert_close(CD()(student, teacher), torch.tensor(expected).mean())


def test_connector_where_channels_differ_or_on_demand():
    for channels, wanted, made in [(3, None, False), (3, True, True), (5, None, True)]:
        loss = CD(connector=wanted)
        loss.build(*pair(channels))
        assert bool(list(loss.parameters())) == made
        assert loss(*pair(channels)).isfinite()
