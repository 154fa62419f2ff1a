import pytest
import torch

from potstill.errors import BadInput
from potstill.networks import create, parameters


@pytest.mark.parametrize("spec", ["resnet8", "resnet8a", "resnet8x4"])
def test_pre_is_what_the_last_activation_reads(run_with_aliases, spec):
    seen = run_with_aliases(create(spec, seed=0), torch.randn(2, 3, 32, 32))
    for stage in ("stage1", "stage2", "stage3"):
        assert (seen[f"{stage}:pre"] < 0).any()
        assert torch.equal(seen[stage], seen[f"{stage}:pre"].relu())


def test_widths_of_the_four_times_wider_networks(run_with_aliases):
    seen = run_with_aliases(create("resnet8x4", classes=100), torch.zeros(1, 3, 32, 32))
    shapes = {alias: tuple(seen[alias].shape) for alias in ("stem", "stage1", "stage2", "stage3", "pooled", "logits")}
    assert shapes == {
        "stem": (1, 32, 32, 32),
        "stage1": (1, 64, 32, 32),
        "stage2": (1, 128, 16, 16),
        "stage3": (1, 256, 8, 8),
        "pooled": (1, 256),
        "logits": (1, 100),
    }


# Facts of the CIFAR-100 networks of https://github.com/HobbitLong/RepDistiller (models/resnet.py).
@pytest.mark.parametrize(("spec", "count"), [("resnet8x4", 1_233_540), ("resnet32x4", 7_433_860)])
def test_four_times_wider_networks_have_repdistillers_parameters(spec, count):
    assert parameters(create(spec, classes=100)) == count


def test_identity_shortcut_skips_pixels_and_pads_equally():
    shortcut = create("resnet8a").layer2[0].downsample
    images = torch.randn(2, 16, 5, 7)
    padded = shortcut(images)
    assert torch.equal(padded[:, 8:24], images[:, :, ::2, ::2])
    assert not padded[:, :8].any()
    assert not padded[:, 24:].any()


def test_identity_shortcuts_have_no_parameters():
    projections = sum(16 * k * 32 * k + 2 * 32 * k for k in (1, 2))
    assert parameters(create("resnet20")) - parameters(create("resnet20a")) == projections


@pytest.mark.parametrize("spec", ["resnet8", "resnet8a", "resnet8x4", "wrn-10-1"])
@pytest.mark.parametrize("size", [(8, 8), (33, 20), (64, 64)])
def test_any_image_size(spec, size):
    assert create(spec, classes=7)(torch.zeros(2, 3, *size)).shape == (2, 7)


@pytest.mark.parametrize("spec", ["resnet8", "resnet8a", "wrn-10-2"])
def test_no_module_works_in_place(spec):
    network = create(spec)
    assert not [path for path, module in network.named_modules() if getattr(module, "inplace", False)]


def test_convolutions_start_as_he_et_al_say():
    weight = create("resnet8x4", seed=0).layer3[0].conv1.weight  # 128 -> 256 channels
    # 295k draws: the sample's deviation has a standard error of 0.13 % of the true one, sqrt(2 / fan_out)
    assert weight.std().item() == pytest.approx((2 / (9 * 256)) ** 0.5, rel=0.01)
    assert weight.abs().max() > 4 * weight.std()  # normal, not uniform


@pytest.mark.parametrize(("spec", "nearest"), [("resnet21", 20), ("resnet2", 8), ("resnet30a", 32), ("resnet9x4", 8)])
def test_a_depth_that_is_not_6n_plus_2(spec, nearest):
    with pytest.raises(BadInput, match=rf"6n \+ 2, not \d+; the nearest is {nearest}$"):
        create(spec)
