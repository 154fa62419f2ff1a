import torch

from potstill.networks import create, parameters
from potstill.networks.shufflenet_v1 import Shuffle


def unit(inputs: int, outputs: int, first_groups: int) -> int:
    """Parameters of a unit that computes ``outputs`` channels: 1x1 to a quarter, depthwise 3x3, 1x1 in 3 groups."""
    inside = outputs // 4
    convolutions = inputs * inside // first_groups + 9 * inside + inside * outputs // 3
    return convolutions + 2 * (inside + inside + outputs)


def test_parameters_layer_by_layer():
    total, inputs = 3 * 24 + 2 * 24, 24
    for outputs, units in ((240, 4), (480, 8), (960, 4)):
        total += unit(inputs, outputs - inputs, 1 if inputs == 24 else 3)  # its input stands beside what it computes
        total += (units - 1) * unit(outputs, outputs, 3)
        inputs = outputs
    with torch.device("meta"):
        assert parameters(create("shufflenetv1", classes=100)) == total + 960 * 100 + 100


def test_shuffled_neighbours_come_from_different_groups():
    channels = torch.arange(6.0).reshape(1, 6, 1, 1)
    assert Shuffle(3)(channels).flatten().tolist() == [0, 2, 4, 1, 3, 5]
    assert Shuffle(2)(channels).flatten().tolist() == [0, 3, 1, 4, 2, 5]
    assert torch.equal(Shuffle(1)(channels), channels)


def test_pre_is_what_the_last_activation_reads(run_with_aliases):
    network = create("shufflenetv1", seed=0)
    seen = run_with_aliases(network, torch.randn(2, 3, 16, 16))
    assert seen["stem"].min() == 0
    for stage in ("stage1", "stage2", "stage3"):
        assert (seen[f"{stage}:pre"] < 0).any()
        assert torch.equal(seen[stage], seen[f"{stage}:pre"].relu())
    torch.testing.assert_close(seen["pooled"], seen["stage3"].mean(dim=(2, 3)))


def test_a_unit_of_stride_2_keeps_its_pooled_input_behind_the_new_channels():
    network = create("shufflenetv1", seed=0)
    x = torch.rand(2, 24, 8, 8)
    pooled = torch.nn.functional.avg_pool2d(x, kernel_size=3, stride=2, padding=1)
    assert torch.equal(network.layer1[0](x)[:, 216:], pooled)


def test_only_the_first_convolution_of_the_first_unit_has_one_group():
    units = [unit for layer in ("layer1", "layer2", "layer3") for unit in getattr(create("shufflenetv1"), layer)]
    assert [unit.conv1.groups for unit in units] == [1] + [3] * 15
    assert [unit.shuffle.groups for unit in units] == [1] + [3] * 15
    assert {unit.conv3.groups for unit in units} == {3}
