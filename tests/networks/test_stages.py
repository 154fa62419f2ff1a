"""Stages that no alias names: found in one dry run that leaves no trace."""

import random

import numpy as np
import pytest
import timm
import torch
from torch import nn

from potstill.errors import BadInput
from potstill.networks import create, find_stages
from potstill.networks.dry_run import DryRun
from potstill.networks.stages import _found_stages

SMALL = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def found(spec, images=SMALL):
    network = spec if isinstance(spec, nn.Module) else create(spec, seed=0)
    return [(stage.path, stage.shape[1]) for stage in _found_stages(DryRun(network, "network", images))]


@pytest.mark.parametrize(
    ("spec", "stages"),
    [
        ("torchvision:resnet18", ["layer1", "layer2", "layer3", "layer4"]),
        ("torchvision:mobilenet_v2", [f"features.{i}" for i in (1, 3, 6, 13, 18)]),
        ("torchvision:mobilenet_v3_small", [f"features.{i}" for i in (1, 3, 8, 12)]),
        ("torchvision:densenet121", [f"features.denseblock{i}" for i in (1, 2, 3, 4)]),
        ("torchvision:efficientnet_b0", [f"features.{i}" for i in (1, 2, 3, 5, 8)]),
        ("torchvision:swin_t", ["features.1:map", "features.3:map", "features.5:map", "permute"]),
        ("torchvision:convnext_tiny", [f"features.{i}" for i in (1, 3, 5, 7)]),
        ("torchvision:shufflenet_v2_x0_5", ["stage2", "stage3", "conv5"]),
        ("torchvision:regnet_y_400mf", [f"trunk_output.block{i}" for i in (1, 2, 3, 4)]),
        ("torchvision:squeezenet1_1", [f"features.{i}" for i in (4, 7, 12)]),
        ("timm:levit_128s", ["stem.act1", "stem.act2", "stem.act3", "stages.0:map", "stages.1:map", "stages.2:map"]),
        ("timm:hrnet_w18_small", ["incre_modules.0", "downsamp_modules.0.2", "downsamp_modules.1.2", "final_layer"]),
    ],
)
def test_the_last_module_at_each_resolution(spec, stages):
    images = SMALL if "levit" not in spec else torch.randn(2, 3, 224, 224)
    assert [path for path, _ in found(spec, images)] == stages


@pytest.mark.parametrize("norm", ["", "_bn"])
def test_vgg_whose_activations_are_in_place_and_whose_last_pooling_enlarges(norm):
    with torch.device("meta"):  # its linear layers are large
        network = create(f"torchvision:vgg11{norm}")
    stages = found(network)
    assert [size for _, size in stages] == [64, 32, 16, 8, 4]
    assert all(isinstance(network.get_submodule(path), nn.ReLU) for path, _ in stages)


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of torchvision's own, about first weights
@pytest.mark.parametrize(
    ("name", "size", "stages"),
    [
        ("googlenet", 64, ["conv3", "inception3b", "inception4e", "inception5b"]),
        ("inception_v3", 299, ["Conv2d_2b_3x3", "Conv2d_4a_3x3", "Mixed_5d", "Mixed_6e", "Mixed_7c"]),
    ],
)
def test_auxiliary_classifiers(name, size, stages):
    assert [path for path, _ in found(f"torchvision:{name}", torch.randn(1, 3, size, size))] == stages


@pytest.mark.parametrize(
    ("network", "size"),
    [
        (lambda: timm.create_model("vit_tiny_patch16_224", img_size=64), 64),
        (lambda: timm.create_model("mixer_s32_224"), 224),
        (lambda: create("torchvision:vit_b_32"), 224),
    ],
)
def test_a_single_resolution_gives_blocks_evenly_spread(network, size):
    network = network()
    blocks = getattr(network, "blocks", None)
    blocks, at = (network.encoder.layers, "encoder.layers.encoder_layer_") if blocks is None else (blocks, "blocks.")
    expected = [f"{at}{len(blocks) * quarter // 4 - 1}:map" for quarter in (1, 2, 3, 4)]
    assert [path for path, _ in found(network, torch.zeros(1, 3, size, size))] == expected


def test_a_stem_and_single_layers():
    def conv(stride):
        return nn.Conv2d(3, 3, 3, stride=stride, padding=1)

    single = nn.Sequential(conv(2), conv(2), conv(2), nn.Flatten())
    assert found(single) == [("0", 32), ("1", 16), ("2", 8)]
    stem = nn.Sequential(conv(2), nn.ReLU(), conv(2), conv(1), nn.Flatten())
    assert found(stem) == [("3", 16)]
    assert found(nn.Sequential(nn.MaxPool2d(2), conv(2), conv(1), nn.AdaptiveAvgPool2d(1))) == [("1", 16), ("2", 16)]


class Overwriting(nn.Module):
    """The second block starts with an activation that overwrites what the first one returns."""

    def __init__(self, inside: bool):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1))
        rest = [nn.Conv2d(4, 4, 2, stride=2), nn.Conv2d(4, 4, 1)]
        self.second = nn.Sequential(nn.ReLU(inplace=True), *rest) if inside else nn.Sequential(*rest)
        self.inside = inside

    def forward(self, x):
        x = self.first(x)
        x = x if self.inside else x.relu_()
        return self.second(x).mean((2, 3))


def test_overwritten_maps_are_no_stages():
    assert found(Overwriting(inside=True)) == [("second.0:in", 64), ("second", 32)]
    assert found(Overwriting(inside=False)) == [("second", 32)]


def test_a_module_that_runs_twice_is_the_stage_of_its_last_call():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.block = nn.Sequential(nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1))
            self.pool = nn.MaxPool2d(2)

        def forward(self, x):
            return self.block(self.pool(self.block(x))).mean((2, 3))

    assert found(Twice()) == [("block", 32)]


def test_aliases_come_first_and_must_be_maps():
    network = create("resnet8")
    assert [stage.path for stage in find_stages(network, SMALL)] == ["stage1", "stage2", "stage3"]
    network.aliases["stage2"] = "fc"
    assert [stage.path for stage in find_stages(network, SMALL)] == ["layer1", "layer2", "layer3"]
    network.aliases["stage2"] = "nowhere"
    assert [stage.path for stage in find_stages(network, SMALL)] == ["layer1", "layer2", "layer3"]


def test_timms_names_of_modules_that_do_not_exist_are_no_aliases():
    assert create("timm:hrnet_w18_small").aliases == {}


def test_looking_leaves_no_trace():
    class Noisy(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = create("resnet8", seed=0)
            self.body.layer1.eval()

        def forward(self, images):
            return self.body(images) + torch.rand(1)

    network = Noisy()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    modes = [module.training for module in network.modules()]
    states = torch.get_rng_state(), random.getstate(), str(np.random.get_state())
    assert len(find_stages(network, SMALL)) == 3
    with pytest.raises(BadInput):
        find_stages(network, torch.zeros(2, 4, 8, 8))
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert [module.training for module in network.modules()] == modes
    assert torch.equal(states[0], torch.get_rng_state())
    assert states[1:] == (random.getstate(), str(np.random.get_state()))
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())
    assert all(parameter.grad is None for parameter in network.parameters())


def test_the_size_of_the_images_is_what_the_network_makes_of_them():
    network = create("torchvision:resnet18", seed=0)
    network.register_forward_pre_hook(lambda _, args: (nn.functional.interpolate(args[0], (128, 128)),))
    assert found(network, torch.randn(2, 3, 20, 20)) == [("layer1", 32), ("layer2", 16), ("layer3", 8), ("layer4", 4)]
