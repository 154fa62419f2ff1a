import pytest
import torch
from torch import nn

from potstill.networks import create, load_weights
from potstill.taps import Taps

# What RepDistiller's networks return as features for an image of 32 x 32: channels and size of the stem and of stages.
# Read off https://github.com/HobbitLong/RepDistiller/tree/master/models; all but the first are what its losses compare.
VGG = [(64, 32), (128, 16), (256, 8), (512, 4), (512, 4)]
FEATURES = {
    "vgg8": VGG,
    "vgg13": VGG,
    "mobilenetv2x0.5": [(16, 16), (12, 16), (16, 8), (48, 4), (160, 2)],
    "shufflenetv1": [(24, 32), (240, 16), (480, 8), (960, 4)],
    "shufflenetv2": [(24, 32), (116, 16), (232, 8), (464, 4)],
}
POOLED = {"vgg8": 512, "vgg13": 512, "mobilenetv2x0.5": 1280, "shufflenetv1": 960, "shufflenetv2": 1024}
# What RepDistiller calls the classifier.
CLASSIFIER = {"vgg8": "classifier", "mobilenetv2x0.5": "classifier.0", "shufflenetv1": "linear"}


@pytest.mark.parametrize("size", [32, 64])
@pytest.mark.parametrize("spec", FEATURES)
def test_every_alias_is_the_map_that_repdistiller_takes(spec, size):
    with torch.device("meta"):
        network = create(spec, classes=100).eval()
    images = torch.empty(2, 3, size, size, device="meta")
    values = Taps(network, "net", ["net", *(f"net.{alias}" for alias in network.aliases)])(images)
    stem, *stages = ((channels, side * size // 32) for channels, side in FEATURES[spec])
    if spec.startswith("vgg") and size == 64:
        stages[-1] = (512, 4)  # one pooling more
    expected = {"net": (2, 100), "net.pooled": (2, POOLED[spec]), "net.stem": (2, stem[0], stem[1], stem[1])}
    for number, (channels, side) in enumerate(stages, start=1):
        expected[f"net.stage{number}"] = expected[f"net.stage{number}:pre"] = (2, channels, side, side)
    assert {address: tuple(value.shape) for address, value in values.items()} == expected


@pytest.mark.parametrize("spec", [spec for spec in FEATURES if spec != "vgg13"])
def test_gradients_reach_every_parameter(spec):
    network = create(spec, seed=0).eval()  # in train mode, a batch norm takes the gradient from a bias before it
    network(torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))).square().sum().backward()
    without = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert not without


@pytest.mark.parametrize("spec", FEATURES)
def test_no_module_works_in_place(spec):
    with torch.device("meta"):
        network = create(spec)
    assert not [path for path, module in network.named_modules() if getattr(module, "inplace", False)]


@pytest.mark.parametrize("spec", CLASSIFIER)
def test_checkpoints_of_repdistiller_fit(spec, tmp_path):
    theirs = create(spec, seed=1).state_dict()
    state = {name.replace("fc.", f"{CLASSIFIER[spec]}."): value for name, value in theirs.items()}
    torch.save({"epoch": 240, "model": state}, tmp_path / "ckpt.pth")
    network = create(spec, seed=2, weights=tmp_path / "ckpt.pth")
    assert all(torch.equal(value, theirs[name]) for name, value in network.state_dict().items())


def test_a_classifier_of_that_name_keeps_it(tmp_path):
    network = nn.ModuleDict({"classifier": nn.Linear(2, 3)})
    torch.save({"classifier.weight": torch.ones(3, 2), "classifier.bias": torch.ones(3)}, tmp_path / "own.pth")
    load_weights(network, tmp_path / "own.pth")
    assert network["classifier"].weight.sum() == 6
