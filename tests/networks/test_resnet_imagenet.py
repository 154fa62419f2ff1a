import pytest
import torch
import torchvision

from potstill.networks import create, load_weights, macs, parameters
from potstill.networks.resnet_imagenet import BASIC, BOTTLENECK, ImageNetResNet
from potstill.taps import Taps

DEPTHS = tuple(BASIC | BOTTLENECK)
STEMS = {"imagenet": "", "cifar": "-cifar"}


def on_meta(spec, classes=1000):
    """The network without memory for its weights, which is enough for shapes."""
    with torch.device("meta"):
        return create(spec, classes).eval()


def test_recorded_counts_and_shapes(counts):
    assert counts["channel_distillation"]
    for name, recorded in counts["channel_distillation"].items():
        spec, stem, classes, size = name.split(".")
        size = int(size.removeprefix("input"))
        network = on_meta(spec + STEMS[stem], int(classes.removeprefix("classes")))
        kinds = {"conv": torch.nn.Conv2d, "linear": torch.nn.Linear, "batchnorm": torch.nn.BatchNorm2d}
        assert parameters(network) == recorded["parameters_total"], name
        for kind, module in kinds.items():
            layers = [m for m in network.modules() if isinstance(m, module)]
            assert parameters(*layers) == recorded[f"parameters_{kind}"], name
        stages = [f"net.stage{i}" for i in (1, 2, 3, 4)]
        values = Taps(network, "net", ["net", *stages])(torch.empty(1, 3, size, size, device="meta"))
        assert [list(values[stage].shape[1:]) for stage in stages] == recorded["feature_shapes"], name
        assert list(values["net"].shape[1:]) == recorded["logits_shape"], name
        entries = [[n, list(v.shape)] for n, v in network.state_dict().items() if "num_batches" not in n]
        assert entries == recorded.get("state_entries", entries), name


@pytest.mark.parametrize("depth", DEPTHS)
def test_names_and_shapes_are_torchvisions(depth):
    with torch.device("meta"):
        theirs = getattr(torchvision.models, f"resnet{depth}")()
    shapes = [(name, value.shape) for name, value in theirs.state_dict().items()]
    assert [(name, value.shape) for name, value in on_meta(f"resnet{depth}").state_dict().items()] == shapes


@pytest.mark.parametrize("depth", [18, 50])
def test_forward_is_torchvisions_with_its_weights(depth, tmp_path):
    torch.manual_seed(0)
    theirs = getattr(torchvision.models, f"resnet{depth}")(num_classes=7)
    for module in theirs.modules():
        if isinstance(module, torch.nn.BatchNorm2d):  # otherwise a swapped pair of them would not show
            module.weight.data.uniform_(0.5, 1)
            module.bias.data.normal_(std=0.1)
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 1.5)
    torch.save(theirs.state_dict(), tmp_path / "theirs.pth")
    own = create(f"resnet{depth}", classes=7)
    load_weights(own, tmp_path / "theirs.pth")
    images = torch.randn(2, 3, 70, 50)
    with torch.no_grad():
        assert torch.equal(own.eval()(images), theirs.eval()(images))
        assert torch.equal(own.train()(images), theirs.train()(images))


@pytest.mark.parametrize("blocks", [BASIC[18], (1, 1, 1, 1)], ids=["basic", "bottleneck"])
def test_pre_is_what_the_last_activation_reads(run_with_aliases, blocks, monkeypatch):
    depth = 18 if blocks == BASIC[18] else 50
    monkeypatch.setitem(BASIC if depth == 18 else BOTTLENECK, depth, blocks)
    seen = run_with_aliases(ImageNetResNet(depth, 10, small_images=True), torch.randn(2, 3, 32, 32))
    for stage in ("stage1", "stage2", "stage3", "stage4"):
        assert (seen[f"{stage}:pre"] < 0).any()
        assert torch.equal(seen[stage], seen[f"{stage}:pre"].relu())
    assert seen["stem"].shape == (2, 64, 32, 32)
    assert seen["stem"].min() == 0  # activated
    torch.testing.assert_close(seen["pooled"], seen["stage4"].mean(dim=(2, 3)))


@pytest.mark.parametrize("spec", ["resnet18", "resnet50-cifar"])
def test_no_module_works_in_place(spec):
    assert not [path for path, module in on_meta(spec).named_modules() if getattr(module, "inplace", False)]


def test_the_small_stem_costs_what_its_resolution_says():
    # 32 x 32 through a stem of stride 1 is 128 x 128 through strides 2 and 2, but for the stem itself
    stems = {"resnet18": 64 * 64 * 3 * 49 * 64, "resnet18-cifar": 32 * 32 * 3 * 9 * 64}
    sizes = {"resnet18": 128, "resnet18-cifar": 32}
    rest = {spec: macs(create(spec), (3, size, size)) - stems[spec] for spec, size in sizes.items()}
    assert rest["resnet18"] == rest["resnet18-cifar"]
