"""B13: what is no stage is never matched, whoever names it, and whatever blocks return."""

from collections import namedtuple

import pytest
import timm
import torch
from torch import nn

from potstill.networks import create, find_stages
from potstill.networks.dry_run import DryRun
from potstill.networks.stages import _found_stages

Both = namedtuple("Both", "maps attention")


def found(network, side=32):
    return [(stage.path, stage.shape) for stage in find_stages(network, torch.randn(2, 3, side, side))]


@pytest.mark.parametrize(
    ("spec", "side"), [("timm:mobilenetv2_035", 32), ("resnet18", 8), ("timm:resnet10t", 16), ("vgg8", 8)]
)
def test_maps_of_one_pixel_are_no_stages_even_where_a_network_names_them(spec, side):
    network = create(spec)
    stages = found(network, side)
    assert stages
    assert all(shape[1] * shape[2] > 1 for _, shape in stages)
    assert len(stages) < len([alias for alias in network.aliases if alias.removeprefix("stage").isdigit()])


class Block(nn.Module):
    """A residual block that returns its sum as ``wrap`` says, and beside it what it added."""

    def __init__(self, wrap):
        super().__init__()
        self.conv, self.wrap = nn.Conv2d(8, 8, 3, padding=1), wrap

    def forward(self, x):
        added = self.conv(x)
        return self.wrap(x + added, added)


class Blocks(nn.Module):
    def __init__(self, wrap, unwrap):
        super().__init__()
        self.stem, self.unwrap = nn.Conv2d(3, 8, 3, padding=1), unwrap
        self.blocks = nn.ModuleList([Block(wrap) for _ in range(2)])
        self.down = nn.Conv2d(8, 8, 3, 2, 1)
        self.more = nn.ModuleList([Block(wrap) for _ in range(2)])
        self.fc = nn.Linear(8, 10)

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = self.unwrap(block(x))
        x = self.down(x)
        for block in self.more:
            x = self.unwrap(block(x))
        return self.fc(x.mean((2, 3)))


SHOWN = {
    "tuple": (lambda s, a: (s, a), lambda out: out[0]),
    "list": (lambda s, a: [s, a], lambda out: out[0]),
    "named tuple": (Both, lambda out: out.maps),
    "with None": (lambda s, a: (None, s), lambda out: out[1]),
}


@pytest.mark.parametrize("wrap", ["tuple", "list", "named tuple", "with None"])
def test_of_a_block_that_returns_several_its_sum_is_the_stage(wrap):
    assert [path for path, _ in found(Blocks(*SHOWN[wrap]))] == ["blocks.1", "more.1"]


def test_a_branch_is_not_taken_for_a_block_that_returns_a_dictionary():
    network = Blocks(lambda s, a: {"sum": s, "added": a.mean(1)}, lambda out: out["sum"])
    assert not [path for path, _ in found(network) if path.endswith("conv")]


class Sequences(nn.Module):
    """Convolves what it flattens along its places."""

    def __init__(self, channels, kernel, transposed=False):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, channels, 3, 1, 1))
        self.flat = nn.Flatten(2)
        self.along = nn.Conv1d(channels, channels, kernel, padding=kernel // 2)
        self.norm, self.fc = nn.LayerNorm(channels), nn.Linear(channels, 10)
        self.transposed = transposed

    def forward(self, x):
        x = self.along(self.flat(self.stem(x)))
        return self.fc(self.norm(x.transpose(1, 2)).mean(1))


@pytest.mark.parametrize("channels", [16, 64, 144, 256])  # squares, which look like grids
@pytest.mark.parametrize("kernel", [1, 3])
def test_sequences_are_no_pictures(channels, kernel):
    assert all(path.startswith("stem") for path, _ in found(Sequences(channels, kernel)))


@pytest.mark.parametrize("side", [64, 224])
def test_the_states_of_efficientvim_are_no_pictures(side):
    network = timm.create_model("efficientvim_m1", num_classes=10)
    stages = _found_stages(DryRun(network, "network", torch.randn(2, 3, side, side)))
    assert [stage.path for stage in stages if stage.path.startswith("norm") and stage.path.endswith(":map")] == []
    assert {"stages.0", "stages.1"} <= {stage.path for stage in stages}


def test_tokens_stay_pictures():
    network = timm.create_model("vit_tiny_patch16_224", img_size=32, patch_size=8, embed_dim=64, num_heads=2, depth=4)
    assert [shape for _, shape in found(network)] == [(64, 4, 4)] * 4


def test_swin_of_transformers(monkeypatch):
    transformers = pytest.importorskip("transformers")
    config = transformers.SwinConfig(
        image_size=32, patch_size=4, embed_dim=24, depths=[4], num_heads=[1], window_size=4, num_labels=10
    )
    network = transformers.SwinForImageClassification(config).eval()
    assert found(network) == [(f"swin.encoder.layers.0.blocks.{i}:map", (24, 8, 8)) for i in range(4)]
    block = network.swin.encoder.layers[0].blocks[3]
    seen = {}
    block.register_forward_hook(lambda _, args, output: seen.update(output=output[0]))
    block.mlp.register_forward_hook(lambda _, args, output: seen.update(branch=output))
    run = DryRun(network, "network", torch.randn(2, 3, 32, 32))
    value = run.seen_at("swin.encoder.layers.0.blocks.3").value
    assert torch.equal(value, seen["output"])
    assert not torch.equal(value, seen["branch"])
