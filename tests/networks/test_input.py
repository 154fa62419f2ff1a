from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from potstill.errors import BadInput
from potstill.networks import Input, adapt_input, create, macs
from potstill.networks.input import only_size
from potstill.taps import Taps

OURS = ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))
THEIRS = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
GIVEN = Input(OURS, (8, 8))


class Seen(nn.Module):
    """Remembers its images; with a parameter, so that it has a dtype and a device."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, images):
        self.images = images
        return images.flatten(1)[:, :2] * self.weight


def normalised(pixels, statistics):
    mean, std = (pixels.new_tensor(values)[:, None, None] for values in statistics)
    return (pixels - mean) / std


def pixels(*shape, dtype=torch.float64):
    return torch.rand(*shape, dtype=dtype, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("size", [(8, 8), (20, 12), (5, 3), (4, 16)])
def test_equals_raw_pixels_normalised_its_own_way_and_resized(size):
    network, raw = Seen().double(), pixels(2, 3, 8, 8)
    adapt_input(network, GIVEN, Input(THEIRS, size))
    network(normalised(raw, OURS))
    own = normalised(raw, THEIRS)
    if size != (8, 8):
        smaller = size[0] < 8 or size[1] < 8
        own = F.interpolate(own, size, mode="bilinear", antialias=smaller, align_corners=False)
    torch.testing.assert_close(network.images, own, rtol=1e-13, atol=1e-13)


def test_what_gets_smaller_is_averaged_not_sampled():
    network = Seen()
    adapt_input(network, GIVEN, Input(size=(2, 2)))
    stripes = torch.zeros(1, 3, 8, 8)
    stripes[..., ::2] = 1
    network(stripes)
    torch.testing.assert_close(network.images, torch.full((1, 3, 2, 2), 0.5), rtol=0, atol=0.05)


def test_nothing_is_added_where_nothing_differs():
    network = Seen()
    for wanted in (Input(), Input(OURS), Input(OURS, (8, 8)), Input(size=(8, 8))):
        assert adapt_input(network, GIVEN, wanted) == Input()
    assert not network._forward_pre_hooks
    assert not list(network.buffers())
    assert not hasattr(network, "own_input")


def test_says_what_differs():
    assert adapt_input(Seen(), GIVEN, Input(THEIRS, (8, 8))) == Input(THEIRS)
    network = Seen()
    assert adapt_input(network, GIVEN, Input(OURS, (9, 8))) == Input(size=(9, 8)) == network.own_input


def test_names_of_taps_modules_and_weights_stay(tmp_path):
    plain, network = create("resnet8", seed=0).eval(), create("resnet8", seed=0).eval()
    adapt_input(network, GIVEN, Input(THEIRS, (16, 16)))
    assert list(network.state_dict()) == list(plain.state_dict())
    assert [n for n, _ in network.named_modules()] == [n for n, _ in plain.named_modules()]
    raw = pixels(2, 3, 8, 8, dtype=torch.float32)
    with torch.no_grad():
        seen = Taps(network, "teacher", ["teacher", "teacher.stage2", "teacher.conv1:in"]).check(normalised(raw, OURS))
        own = F.interpolate(normalised(raw, THEIRS), (16, 16), mode="bilinear")
        torch.testing.assert_close(seen["teacher"], plain(own))
        torch.testing.assert_close(seen["teacher.conv1:in"], own)
    assert seen["teacher.stage2"].shape[-1] == 8
    assert macs(network, (3, 8, 8)) == macs(plain, (3, 16, 16))


def test_gradients_flow_to_the_images():
    network = nn.Conv2d(3, 2, 3).double()
    adapt_input(network, GIVEN, Input(THEIRS, (5, 9)))
    images = pixels(1, 3, 8, 8).requires_grad_()
    assert torch.autograd.gradcheck(network, (images,))


def test_computes_in_float32_under_autocast():
    network, plain = Seen(), Seen()
    for one in (network, plain):
        adapt_input(one, GIVEN, Input(THEIRS, (16, 16)))
    images = pixels(2, 3, 8, 8, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        network(images)
    plain(images)
    assert torch.equal(network.images, plain.images)


def test_images_of_half_precision_stay_so_but_are_transformed_in_float32():
    for wanted in (Input(THEIRS), Input(size=(3, 3)), Input(THEIRS, (16, 16))):
        network, half = Seen(), Seen().bfloat16()
        for one in (network, half):
            adapt_input(one, GIVEN, wanted)
        images = pixels(2, 3, 8, 8, dtype=torch.float32).bfloat16()
        half(images)
        assert half.images.dtype == torch.bfloat16
        network(images.float())
        assert torch.equal(half.images, network.images.bfloat16())


def test_copies_are_independent_and_constants_move_along():
    network = Seen()
    adapt_input(network, GIVEN, Input(THEIRS, (4, 4)))
    copy = deepcopy(network).to("meta")
    images = pixels(2, 3, 8, 8, dtype=torch.float32)
    copy(images.to("meta"))
    assert copy.images.device.type == "meta"
    network(images)
    assert network.images.device.type == "cpu"
    assert network.images.isfinite().all()


def test_channels_last_stays():
    network = Seen()
    adapt_input(network, GIVEN, Input(THEIRS, (16, 16)))
    network(pixels(2, 3, 8, 8, dtype=torch.float32).to(memory_format=torch.channels_last))
    assert network.images.is_contiguous(memory_format=torch.channels_last)


def test_compiled_it_is_the_same():
    network = create("resnet8", seed=0).eval()
    adapt_input(network, GIVEN, Input(THEIRS, (16, 16)))
    images = pixels(2, 3, 8, 8, dtype=torch.float32)
    with torch.no_grad():
        plain = network(images)
        network.compile(backend="aot_eager", fullgraph=True, dynamic=False)
        torch.testing.assert_close(network(images), plain)


@pytest.mark.parametrize(
    ("spec", "size"),
    [
        ("resnet8", None),
        ("timm:resnet10t", None),
        ("timm:vit_tiny_patch16_224", (224, 224)),  # its patch embedding says so
        ("timm:coatnet_pico_rw_224", (224, 224)),  # its configuration
        ("torchvision:vit_b_32", (224, 224)),
    ],
)
def test_networks_of_one_size_only(spec, size):
    if spec.startswith("torchvision"):
        with torch.device("meta"):  # the smallest of them has 88 million weights
            network = create(spec)
    else:
        network = create(spec)
    assert only_size(network) == size


def test_a_network_of_one_size_gets_that():
    network = create("timm:vit_tiny_patch16_224", seed=0).eval()
    assert adapt_input(network, GIVEN, Input(OURS)) == Input(size=(224, 224))
    with torch.no_grad():
        assert network(torch.zeros(1, 3, 8, 8)).shape == (1, 10)


def test_errors():
    vit = create("timm:vit_tiny_patch16_224")
    with pytest.raises(BadInput, match=r"VisionTransformer takes images of 224x224 only, not of 64x64$"):
        adapt_input(vit, GIVEN, Input(size=(64, 64)))
    network = Seen()
    adapt_input(network, GIVEN, Input(THEIRS))
    with pytest.raises(BadInput, match="an input of its own already"):
        adapt_input(network, GIVEN, Input(THEIRS))
    with pytest.raises(BadInput, match="if it is known how they are"):
        adapt_input(Seen(), Input(), Input(THEIRS))
