import pytest
import torch
from torch import nn

from potstill.errors import BadInput
from potstill.networks import cheap
from potstill.networks.acdc import ACDC
from potstill.networks.cheap import FORMS, ORIGINAL


def test_the_original_has_32_types_of_every_form():
    kinds = [cheap(spec) for spec in ORIGINAL]
    assert len(set(ORIGINAL)) == 32
    assert {kind.form for kind in kinds} | {"ACDC", "ACDC{layers}"} == set(FORMS)


@pytest.mark.parametrize("spec", [*ORIGINAL, "ACDC"])
@pytest.mark.parametrize(
    "geometry",
    [
        {"kernel_size": 3, "padding": 1},
        {"kernel_size": 3, "padding": 1, "stride": 2},
        {"kernel_size": 3, "padding": 2, "dilation": 2, "bias": True},
        {"kernel_size": (7, 5), "padding": (3, 2), "stride": (2, 1)},
        {"kernel_size": (1, 3), "padding": (0, 1)},
        {"kernel_size": 2},
        {"kernel_size": 3, "padding": "same", "padding_mode": "circular"},
    ],
    ids=str,
)
def test_shape_and_bias_are_those_of_what_is_replaced(spec, geometry):
    replaced = nn.Conv2d(32, 64, **{"bias": False} | geometry)
    built = cheap(spec).build(replaced)
    images = torch.randn(2, 32, 12, 9)
    assert built(images).shape == replaced(images).shape
    windows = [module for module in built.modules() if max(getattr(module, "kernel_size", [1])) > 1]
    assert [module.padding_mode for module in windows if isinstance(module, nn.Conv2d)] == [replaced.padding_mode]
    biases = [module for module in built.modules() if not list(module.children()) and is_biased(module)]
    last = [module for module in built.modules() if isinstance(module, (nn.Conv2d, nn.Conv3d, ACDC))][-1]
    assert biases == ([last] if geometry.get("bias") else [])


def is_biased(module: nn.Module) -> bool:
    return isinstance(module, (nn.Conv2d, nn.Conv3d, ACDC)) and module.bias is not None


def spatial(spec: str, inputs: int, outputs: int) -> nn.Conv2d:
    built = cheap(spec).build(nn.Conv2d(inputs, outputs, 3, padding=1))
    return built if isinstance(built, nn.Conv2d) else built.conv


@pytest.mark.parametrize(
    ("spec", "width", "groups"),
    [
        ("ConvB4", 16, 1),
        ("DConv", 32, 32),
        ("DConvB4", 16, 16),
        ("ACDC", 32, 32),
        ("DConvG8", 32, 4),  # 8 channels a group
        ("DConvA8", 32, 8),  # 8 groups
        ("G8B4", 16, 2),
        ("A8B4", 16, 8),
        ("G3B3", 21, 7),  # numbers that the original does not offer
        ("G8B5", 12, 1),  # as there: not 8 channels a group but 12, since 12 is not twice 8
    ],
)
def test_what_the_letters_and_numbers_mean(spec, width, groups):
    convolution = spatial(spec, 32, 64)
    assert (convolution.in_channels, convolution.out_channels, convolution.groups) == (width, width, groups)


@pytest.mark.parametrize("kernel_size", [3, 5])
def test_conv2x2_sees_the_corners_of_the_window(kernel_size):
    replaced = nn.Conv2d(4, 6, kernel_size, padding=kernel_size // 2, bias=False)
    corners = cheap("Conv2x2").build(replaced)
    with torch.no_grad():
        replaced.weight.zero_()
        replaced.weight[:, :, :: kernel_size - 1, :: kernel_size - 1] = corners.weight
    images = torch.randn(2, 4, 9, 9)
    torch.testing.assert_close(corners(images), replaced(images), rtol=1e-4, atol=1e-5)


def test_dconv3d_is_the_mean_of_a_filter_over_the_channels():
    built = cheap("DConv3D").build(nn.Conv2d(5, 3, 3, padding=1, bias=False)).double()
    x = torch.randn(2, 5, 4, 4, dtype=torch.float64)
    before, here, after = (w.view(3, 1, 1) for w in built.pointwise.weight.flatten(1).unbind(1))
    padded = nn.functional.pad(x, (0, 0, 0, 0, 1, 1))
    filtered = [
        padded[:, None, i] * before + padded[:, None, i + 1] * here + padded[:, None, i + 2] * after for i in range(5)
    ]
    torch.testing.assert_close(built.pointwise(x), sum(filtered) / 5, rtol=1e-12, atol=1e-12)


def test_relu_follows_every_convolution_but_the_last():
    for spec in ("DConv", "DConv3D", "G8B2", "ConvB2"):
        layers = [type(module).__name__ for module in cheap(spec).build(nn.Conv2d(16, 16, 3))]
        repeats = (len(layers) - 1) // 3
        assert layers[:-1] == ["Conv2d", "BatchNorm2d", "ReLU"] * repeats
        assert "Conv" in layers[-1] or layers[-1] == "OverChannels"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("G8B", "unknown convolution 'G8B'; did you mean G8B"),
        ("DConvG2B2", "did you mean"),
        ("ConvB0", "did you mean ConvB"),
        ("conv", "Conv"),
        ("G8B2 ", "did you mean G8B2"),
        ("", "known: Conv, Conv2x2"),
        ("ADCD", "did you mean ACDC"),
        ("ACDC0", "did you mean ACDC"),
    ],
)
def test_names_that_do_not_exist(spec, message):
    with pytest.raises(BadInput, match=message):
        cheap(spec)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("G16B2", r"groups of 16 are larger than the 8 channels of its bottleneck; nearest is G8B2$"),
        ("G16B4", r"groups of 16 are larger than the 4 channels of its bottleneck; nearest is G4B4$"),
        ("A16B2", r"the 8 channels of its bottleneck are not divisible into 16 groups; nearest is A8B2$"),
        ("ConvB32", r"a bottleneck of 1/32 of 16 channels would have none; nearest is ConvB16$"),
        ("DConvG32", r"groups of 32 are larger than its 16 input channels; nearest is DConvG16$"),
        ("DConvA3", r"its 16 input channels are not divisible into 3 groups; nearest is DConvA4$"),
    ],
)
def test_what_cannot_be_built_names_the_nearest_that_can(spec, message):
    convolution = nn.Conv2d(16, 16, 3)
    with pytest.raises(BadInput, match=rf"^{spec} cannot map 16 to 16 channels: {message}") as error:
        cheap(spec).build(convolution)
    cheap(str(error.value).rpartition(" ")[2]).build(convolution)


def test_the_nearest_of_another_form_where_none_of_the_same_fits():
    assert cheap("DConvA2").nearest((3, 8)) == "DConv"
    assert cheap("DConv").misfit(3, 8) is None
