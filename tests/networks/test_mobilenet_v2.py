import pytest
import torch
from torch import nn

from potstill.networks import create, parameters


def convolution(inputs: int, outputs: int, window: int, groups: int = 1) -> int:
    """Parameters of a convolution without bias and of the batch norm after it."""
    return inputs // groups * outputs * window**2 + 2 * outputs


def count(stem: int, channels: list[int], last: int, classes: int) -> int:
    """Parameters layer by layer; ``channels`` of every block, each but the first widened six times inside."""
    total, inputs = convolution(3, stem, 3), stem
    for block, outputs in enumerate(channels):
        inside = inputs * (6 if block else 1)
        total += (
            convolution(inputs, inside, 1) + convolution(inside, inside, 3, inside) + convolution(inside, outputs, 1)
        )
        inputs = outputs
    return total + convolution(inputs, last, 1) + last * classes + classes


HALF = [8, *[12] * 2, *[16] * 3, *[32] * 4, *[48] * 3, *[80] * 3, 160]


@pytest.mark.parametrize(
    ("width", "stem", "channels", "last"),
    [
        ("0.5", 16, HALF, 1280),
        ("1", 32, [2 * c for c in HALF], 1280),
        ("1.5", 48, [3 * c for c in HALF], 1920),
        ("0.35", 11, [5, *[8] * 2, *[11] * 3, *[22] * 4, *[33] * 3, *[56] * 3, 112], 1280),
    ],
)
def test_parameters_layer_by_layer(width, stem, channels, last):
    with torch.device("meta"):
        assert parameters(create(f"mobilenetv2x{width}", classes=100)) == count(stem, channels, last, 100)


def test_stages_are_linear_and_sum_where_sizes_agree(run_with_aliases):
    network = create("mobilenetv2x0.5", seed=0)
    seen = run_with_aliases(network, torch.randn(4, 3, 32, 32))
    assert seen["stem"].min() == 0
    for stage in ("stage1", "stage2", "stage3", "stage4"):
        assert seen[f"{stage}:pre"] is seen[stage]
        assert (seen[stage] < 0).any()
    adding = [[block.adds for block in group] for group in network.blocks]
    assert adding == [
        [False],
        [False, True],
        [False] + [True] * 2,
        [False] + [True] * 3,
        *[[False] + [True] * 2] * 2,
        [False],
    ]
    block, x = network.blocks[1][1], torch.randn(2, 12, 4, 4)
    nn.init.zeros_(block.conv[-1].weight)  # then only x is left of x + bn(...)
    assert torch.equal(block(x), x)


def test_small_images(run_with_aliases):
    assert run_with_aliases(create("mobilenetv2x0.1").eval(), torch.randn(1, 3, 8, 8))["stage4"].shape == (1, 32, 1, 1)
