import pytest
import torch
from torch import nn

import potstill as ps
from potstill.errors import BadInput
from potstill.networks.graft import upper_part
from potstill.recipes import distill, supervised
from potstill.training import Training

IMAGES = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("spec", ["resnet8", "wrn-10-1", "shufflenetv2", "resnet18-cifar", "vgg8"])
def test_a_network_that_is_cut_and_grafted_on_itself_gives_the_same(spec):
    network = ps.networks.create(spec, seed=0).eval()
    for place in ("stem", "stage1", "stage2"):
        assert torch.equal(ps.networks.graft(network, network, place)(IMAGES), network(IMAGES)), place


def test_it_has_the_modules_of_both_and_nothing_else():
    stock, scion = ps.networks.create("resnet8", seed=0), ps.freeze(ps.networks.create("resnet14", seed=1))
    grafted = ps.networks.graft(stock, scion, "stage2")
    kept = {name.partition(".")[2] for name, _ in grafted.named_parameters() if name.startswith("stock")}
    assert {name.partition(".")[0] for name in kept} == {"conv1", "bn1", "layer1", "layer2"}
    assert grafted.scion.fc is scion.fc
    assert not any(parameter.requires_grad for parameter in grafted.scion.parameters())
    assert isinstance(grafted.bridge, nn.Identity)  # as many channels
    maps = scion.layer3(stock.eval().layer2(stock.layer1(stock.relu(stock.bn1(stock.conv1(IMAGES))))))
    assert torch.equal(grafted.eval()(IMAGES), scion.fc(scion.pool(maps).flatten(1)))


def test_a_bridge_by_its_name():
    network = ps.networks.create("resnet8^4^resnet14@stage2=stage3", seed=0)  # 32 channels and 64
    assert network.spec == "resnet8^4^resnet14@stage2=stage3"
    assert [m.out_channels for m in network.bridge.modules() if isinstance(m, nn.Conv2d)] == [16, 16, 64]
    always = ps.networks.create("resnet8^2^resnet14@stage3", seed=0).eval()  # where nothing differs, too
    assert always.bridge.conv1.out_channels == 32
    assert always(IMAGES).shape == (2, 10)

    expanded = ps.networks.create("resnet8^3x5^resnet8@stage2", seed=0).eval()
    assert expanded.bridge.expand.conv.out_channels == 15
    maps = expanded.stock(IMAGES)
    assert torch.equal(expanded(IMAGES), expanded.scion(maps + expanded.bridge.reduce(expanded.bridge.expand(maps))))


@pytest.mark.parametrize(("bridge", "words"), [
    ("wide", "a bridge is a number such as 2 .* not 'wide'"),
    ("2x", "not '2x'"),
    ("0", "factor must be 1 or more, not 0"),
    ("4x16", "'4x16' leaves 32 channels as they are, where 64 go on"),
])  # fmt: skip
def test_what_is_no_bridge(bridge, words):
    with pytest.raises(BadInput, match=words):
        ps.networks.create(f"resnet8^{bridge}^resnet14@stage2=stage3")


class Skips(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)

    def forward(self, images):
        return (self.two(self.one(images)) + images).mean((2, 3))


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = nn.Conv2d(3, 3, 1)

    def forward(self, images):
        return self.one(self.one(images)).mean((2, 3))


def test_what_cannot_be_cut():
    network = ps.networks.create("resnet8")
    with pytest.raises(BadInput, match="nearest: network.stage3"):
        ps.networks.graft(network, network, "stage2=stage4")
    with pytest.raises(BadInput, match="'one' is no module that runs once"):
        upper_part(Twice(), "one")
    with pytest.raises(BadInput, match="cannot be cut at 'one': what is above needs more of it"):
        upper_part(Skips(), "one")


def test_a_student_with_its_teachers_classifier_is_a_plain_network(tmp_path):
    """SimKD: the term is between maps, and the teacher's part does not move."""
    short = {"epochs": 1, "batch_size": 60, "images": 120, "test_images": 60, "device": "cpu", "log": ()}
    teacher = tmp_path / "teacher"
    supervised(network="resnet8x4", training=Training("digits", out=teacher, **short))
    out = tmp_path / "run"
    distill(
        student=f"resnet8^2^{teacher}@stage3",
        teacher=str(teacher),
        terms=("SimKD(transfer=False) on bridge=stage3",),
        training=Training("digits", out=out, freeze=("scion",), **short),
    )
    trained, whole = ps.networks.create(str(out)), ps.networks.create(str(teacher))
    assert trained.spec == "resnet8^2^resnet8x4@stage3"
    for name, value in trained.scion.state_dict().items():
        assert torch.equal(value, whole.state_dict()[name]), name
    fresh = ps.networks.create("resnet8^2^resnet8x4@stage3", seed=0)
    assert not torch.equal(trained.bridge.conv1.weight, fresh.bridge.conv1.weight)
