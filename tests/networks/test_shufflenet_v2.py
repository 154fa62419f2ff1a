import torch

from potstill.networks import create, parameters


def pointwise(inputs: int, outputs: int) -> int:
    """Parameters of a 1x1 convolution and its batch norm."""
    return inputs * outputs + 2 * outputs


def depthwise(channels: int) -> int:
    """Parameters of a depthwise 3x3 convolution and its batch norm."""
    return 9 * channels + 2 * channels


def test_parameters_layer_by_layer():
    total, inputs = pointwise(3, 24), 24
    for outputs, units in ((116, 4), (232, 8), (464, 4)):
        half = outputs // 2
        total += depthwise(inputs) + pointwise(inputs, half)
        total += pointwise(inputs, half) + depthwise(half) + pointwise(half, half)
        total += (units - 1) * (2 * pointwise(half, half) + depthwise(half))
        inputs = outputs
    with torch.device("meta"):
        assert parameters(create("shufflenetv2", classes=100)) == total + pointwise(464, 1024) + 1024 * 100 + 100


def test_pre_is_unshuffled_and_its_first_half_activated(run_with_aliases):
    network = create("shufflenetv2", seed=0)
    seen = run_with_aliases(network, torch.randn(2, 3, 16, 16))
    assert seen["stem"].min() == 0
    for stage in ("stage1", "stage2", "stage3"):
        passing, new = seen[f"{stage}:pre"].chunk(2, dim=1)
        assert passing.min() == 0
        assert (new < 0).any()
        assert torch.equal(seen[stage][:, 0::2], passing)
        assert torch.equal(seen[stage][:, 1::2], new.relu())


def test_pooled_is_behind_the_last_convolution(run_with_aliases):
    network = create("shufflenetv2", seed=0).eval()
    seen = run_with_aliases(network, torch.randn(2, 3, 16, 16))
    maps = network.bn2(network.conv2(seen["stage3"])).relu()
    torch.testing.assert_close(seen["pooled"], maps.mean(dim=(2, 3)))


def test_half_of_the_channels_pass_a_unit_unchanged():
    network = create("shufflenetv2", seed=0)
    x = torch.rand(2, 116, 4, 4)
    assert torch.equal(network.layer1[1](x)[:, 0::2], x[:, :58])
