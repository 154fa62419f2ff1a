from itertools import pairwise

import pytest
import torch

from potstill.networks import create, parameters


def count(channels: list[int], classes: int) -> int:
    """Parameters of 3x3 convolutions with biases, each with a batch norm, and of a linear layer."""
    return sum(9 * a * b + b + 2 * b for a, b in pairwise([3, *channels])) + channels[-1] * classes + classes


@pytest.mark.parametrize(
    ("depth", "channels"),
    [
        (8, [64, 128, 256, 512, 512]),
        (11, [64, 128, *[256] * 2, *[512] * 4]),
        (13, [*[64] * 2, *[128] * 2, *[256] * 2, *[512] * 4]),
        (16, [*[64] * 2, *[128] * 2, *[256] * 3, *[512] * 6]),
        (19, [*[64] * 2, *[128] * 2, *[256] * 4, *[512] * 8]),
    ],
)
def test_parameters_layer_by_layer(depth, channels):
    with torch.device("meta"):
        assert parameters(create(f"vgg{depth}", classes=100)) == count(channels, 100)


# Millions, as model_zoo/README.md of https://github.com/da2so/DA2Lite states them for VGG16_bn and VGG19_bn.
@pytest.mark.parametrize(("spec", "classes", "millions"), [("vgg16", 10, 14.73), ("vgg19", 100, 20.09)])
def test_parameters_as_others_count_them(spec, classes, millions):
    with torch.device("meta"):
        assert round(parameters(create(spec, classes)) / 1e6, 2) == millions


def test_stages_end_with_the_activation_and_before_the_pooling(run_with_aliases):
    network = create("vgg11", seed=0)
    seen = run_with_aliases(network, torch.randn(2, 3, 16, 16))
    assert seen["stem"].min() == 0
    for stage in ("stage1", "stage2", "stage3", "stage4"):
        assert (seen[f"{stage}:pre"] < 0).any()
        assert torch.equal(seen[stage], seen[f"{stage}:pre"].relu())
    torch.testing.assert_close(seen["pooled"], seen["stage4"].mean(dim=(2, 3)))


@pytest.mark.parametrize(
    ("height", "width", "last"), [(63, 80, (7, 10)), (64, 64, (4, 4)), (96, 64, (6, 4)), (8, 8, (1, 1))]
)
def test_only_large_images_are_pooled_before_the_last_block(run_with_aliases, height, width, last):
    with torch.device("meta"):
        network, images = create("vgg8").eval(), torch.empty(1, 3, height, width)
    assert run_with_aliases(network, images)["stage4"].shape[2:] == last
