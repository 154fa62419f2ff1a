import pytest
import torch

from potstill.errors import BadInput
from potstill.losses import Manifold


def tokens(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).double()


def gram_distance(student, teacher):
    """Of two lists of tokens, in loops."""
    values = [
        (torch.cosine_similarity(a, b, dim=0) - torch.cosine_similarity(c, d, dim=0)) ** 2
        for a, c in zip(student, teacher, strict=True)
        for b, d in zip(student, teacher, strict=True)
    ]
    return torch.stack(values).mean()


def test_each_part_compares_its_pairs_of_tokens():
    student, teacher = tokens(0, 3, 4, 5), tokens(1, 3, 4, 7)
    pairs = zip(student, teacher, strict=True)
    patch = torch.stack([gram_distance(s, t) for s, t in pairs]).mean()
    sample = torch.stack([gram_distance(student[:, i], teacher[:, i]) for i in range(4)]).mean()
    order = torch.randperm(12, generator=torch.Generator().manual_seed(2))
    drawn = gram_distance(student.reshape(12, 5)[order[:6]], teacher.reshape(12, 7)[order[:6]])
    torch.testing.assert_close(Manifold(0, 1, 0)(student, teacher), patch)
    torch.testing.assert_close(Manifold(1, 0, 0)(student, teacher), sample)
    torch.testing.assert_close(Manifold(0, 0, 1, tokens=6)(student, teacher, order), drawn)
    total = 0.1 * sample + 4 * patch + 0.2 * drawn
    torch.testing.assert_close(Manifold(tokens=6)(student, teacher, order), total)


def test_draws_by_the_seed():
    student, teacher, loss, values = tokens(0, 3, 4, 5), tokens(1, 3, 4, 7), Manifold(0, 0, 1, tokens=5), []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        values.append(loss(student, teacher))
    assert values[0] == values[1] != values[2]


def test_maps_are_tokens_by_position():
    student, teacher = tokens(0, 3, 5, 2, 3), tokens(1, 3, 7, 2, 3)
    as_tokens = (maps.flatten(2).transpose(1, 2) for maps in (student, teacher))
    torch.testing.assert_close(Manifold(random=0)(student, teacher), Manifold(random=0)(*as_tokens))


def test_first_tokens_that_the_other_lacks_are_left_out():
    student, teacher = tokens(0, 3, 4, 5), tokens(1, 3, 4, 7)
    more = torch.cat([tokens(2, 3, 2, 5), student], dim=1)
    torch.testing.assert_close(Manifold(random=0)(more, teacher), Manifold(random=0)(student, teacher))


def test_refuses():
    with pytest.raises(BadInput, match="three weights"):
        Manifold(0, 0, 0)
    with pytest.raises(BadInput, match="not of the same patches"):
        Manifold()(tokens(0, 3, 20, 5), tokens(1, 3, 4, 5))
    with pytest.raises(BadInput, match="tokens, or maps"):
        Manifold()(tokens(0, 3, 4, 5), tokens(1, 3, 5, 2, 2))
