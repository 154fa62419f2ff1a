import pytest
import torch

from potstill.errors import BadInput
from potstill.maps import as_map, from_map, map_shape


@pytest.mark.parametrize(
    ("shape", "size", "expected"),
    [
        ((2, 197, 192), (224, 224), (2, 192, 14, 14)),  # a class token
        ((2, 198, 192), (224, 224), (2, 192, 14, 14)),  # and one of distillation
        ((2, 201, 64), (224, 224), (2, 64, 14, 14)),  # four registers
        ((2, 49, 64), (224, 224), (2, 64, 7, 7)),
        ((2, 16, 64), (28, 28), (2, 64, 4, 4)),
        ((2, 24, 8), (64, 96), (2, 8, 4, 6)),
        ((2, 29, 8), (64, 100), (2, 8, 4, 6)),  # 4x7 leaves fewer out, but is further from the aspect ratio
        ((2, 25, 8), (96, 64), (2, 8, 6, 4)),
        ((2, 19, 8), (50, 96), (2, 8, 3, 6)),  # 50 is no multiple of 16
        ((2, 14, 14, 96), (224, 224), (2, 96, 14, 14)),
        ((2, 4, 6, 96), (64, 96), (2, 96, 4, 6)),
        ((2, 96, 14, 14), (224, 224), (2, 96, 14, 14)),
        ((2, 14, 14, 14), (224, 224), (2, 14, 14, 14)),
        ((2, 6, 4, 6), (64, 96), (2, 6, 4, 6)),
        ((2, 512, 1, 1), (224, 224), (2, 512, 1, 1)),
        ((2, 32, 16, 17), (224, 224), (2, 32, 16, 17)),  # of no aspect ratio known: what four dimensions usually are
    ],
)
def test_shapes(shape, size, expected):
    values = torch.randn(shape)
    maps = as_map(values, size)
    assert maps.shape == expected == map_shape(shape, size)
    assert torch.equal(from_map(maps, values), values)
    assert (maps is values) == (expected == shape)


def test_tokens_lie_row_by_row_after_the_first_ones():
    grid = torch.arange(2.0 * 5 * 4 * 6).reshape(2, 5, 4, 6)
    tokens = torch.cat([torch.full((2, 1, 5), -1.0), grid.flatten(2).transpose(1, 2)], dim=1)
    assert torch.equal(as_map(tokens, (64, 96)), grid)
    assert torch.equal(as_map(grid.permute(0, 2, 3, 1), (64, 96)), grid)
    assert as_map(grid, (64, 96)) is grid


def test_gradients_flow_to_the_tokens_that_are_kept():
    tokens = torch.randn(1, 5, 3, requires_grad=True)
    as_map(tokens, (8, 8)).sum().backward()
    assert tokens.grad[0].sum(1).tolist() == [0, 3, 3, 3, 3]


def test_tokens_that_are_no_grid():
    with pytest.raises(
        BadInput, match=r"^159 tokens are no grid of the shape of a 224x224 image: tried 12x12 and 11x11"
    ):
        as_map(torch.zeros(2, 159, 8), (224, 224))
    with pytest.raises(BadInput, match=r"of shape \(2, 8\): neither \(N, L, C\) nor \(N, C, h, w\)"):
        as_map(torch.zeros(2, 8), (224, 224))
