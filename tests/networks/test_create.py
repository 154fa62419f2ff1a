import random
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from potstill.errors import BadInput
from potstill.networks import create, parameters, substitute
from potstill.networks.built_in import BUILT_IN, USUAL, describe_built_in
from potstill.networks.third_party import from_timm

OWN_FILE = """
from __future__ import annotations
from dataclasses import dataclass
from torch import nn

@dataclass
class Size:
    width: int = 4

def net(num_classes):
    return nn.Linear(4, num_classes)

def with_classes(classes=3):
    return nn.Linear(Size().width, classes)

def with_neither():
    return nn.Linear(4, 7)

def with_anything(**options):
    return nn.Linear(4, options["num_classes"])

def conv(classes):
    return nn.Sequential(nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 3), nn.Linear(8, classes))

class Net(nn.Linear):
    def __init__(self, num_classes):
        super().__init__(4, num_classes)

def number(num_classes):
    return 3

constant = 3
"""


@pytest.mark.parametrize("spec", USUAL)
def test_every_usual_name_is_built(spec):
    with torch.device("meta"):  # weights without values: nothing here looks at them
        network = create(spec, classes=12)
    assert (network.spec, network.classes) == (spec, 12)
    assert network.fc.out_features == 12


def test_shortcuts_by_name():
    assert parameters(create("resnet20").layer2[0].downsample) > 0
    assert parameters(create("resnet20a").layer2[0].downsample) == 0


def test_the_listing_says_what_and_where_from():
    rows = {pattern: (sentence, paper) for pattern, sentence, paper in describe_built_in()}
    assert set(rows) == set(BUILT_IN)
    for sentence, paper in rows.values():
        assert sentence.endswith(".")
        assert "\n" not in sentence
        assert "https://" in paper


def test_timm_networks_offer_their_stages():
    network = create("timm:resnet18", classes=5)
    assert network.fc.out_features == 5
    assert network.aliases == {"stem": "act1", **{f"stage{i}": f"layer{i}" for i in range(1, 5)}}
    assert network.spec == "timm:resnet18"


@pytest.mark.parametrize(
    ("name", "stem", "first", "stages"),
    [
        ("vit_tiny_patch16_224", None, "blocks.0", 12),
        ("mobilenetv2_050", None, "blocks.0", 5),
        ("mobilenetv3_small_050", "bn1", "blocks.0", 4),
        ("regnety_002", "stem", "s1", 4),
        ("convnext_atto", None, "stages.0", 4),
    ],
)
def test_timms_stem_is_not_a_stage(name, stem, first, stages):
    network = from_timm(name, classes=5)
    assert network.aliases.get("stem") == stem
    assert network.aliases["stage1"] == first
    assert len(network.aliases) - (stem is not None) == stages
    for path in network.aliases.values():
        network.get_submodule(path)


def test_torchvision_networks():
    network = create("torchvision:squeezenet1_1", classes=5)
    assert network.eval()(torch.zeros(1, 3, 64, 64)).shape == (1, 5)
    assert network.spec == "torchvision:squeezenet1_1"


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "own.py"
    path.write_text(OWN_FILE)
    return path


@pytest.mark.parametrize(
    ("name", "logits"),
    [("net", 5), ("with_classes", 5), ("with_neither", 7), ("with_anything", 5), ("Net", 5)],
)
def test_a_function_of_a_file(own, name, logits):
    network = create(f"{own}:{name}", classes=5)
    assert network.out_features == logits
    assert (network.spec, network.classes) == (f"{own}:{name}", 5)


def test_num_classes_goes_before_classes(tmp_path):
    path = tmp_path / "both.py"
    path.write_text("from torch import nn\ndef net(num_classes, classes=1): return nn.Linear(classes, num_classes)")
    network = create(f"{path}:net", classes=5)
    assert (network.in_features, network.out_features) == (1, 5)


def test_files_of_one_name_do_not_meet(tmp_path):
    for width in (1, 2):
        folder = tmp_path / str(width)
        folder.mkdir()
        (folder / "net.py").write_text(f"from torch import nn\ndef net(classes): return nn.Linear({width}, classes)")
    assert [create(f"{tmp_path / str(width)}/net.py:net").in_features for width in (1, 2)] == [1, 2]


def test_a_function_of_a_package():
    assert create("torchvision.models.squeezenet:squeezenet1_1", classes=5).classifier[1].out_channels == 5


@pytest.mark.parametrize(
    "spec", ["resnet8", "wrn-10-1", "wrn-10-1+DConv", "timm:resnet10t", "torchvision:squeezenet1_1"]
)
def test_a_seed_fixes_the_weights_and_leaves_the_callers_numbers_alone(spec):
    torch.manual_seed(5)
    random.seed(5)
    undisturbed = torch.rand(3)
    torch.manual_seed(5)
    first, again, other = (create(spec, seed=seed).state_dict() for seed in (0, 0, 1))
    assert torch.equal(torch.rand(3), undisturbed)
    assert all(torch.equal(value, again[name]) for name, value in first.items())
    assert any(not torch.equal(value, other[name]) for name, value in first.items())


def test_without_a_seed_the_callers_numbers_are_drawn():
    torch.manual_seed(5)
    first = create("resnet8").fc.weight
    assert not torch.equal(create("resnet8").fc.weight, first)
    torch.manual_seed(5)
    assert torch.equal(create("resnet8").fc.weight, first)


def test_built_in_networks_need_neither_timm_nor_torchvision():
    code = "import sys, potstill.networks as n; n.create('resnet8'); print({'timm', 'torchvision'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"


@pytest.mark.parametrize(("spec", "conv"), [("wrn-10-2", "G8B2"), ("timm:resnet10t", "DConv"), ("{own}:conv", "A2B2")])
def test_cheap_convolutions_after_a_plus(own, spec, conv):
    spec = spec.format(own=own)
    network = create(f"{spec}+{conv}", classes=5, seed=3)
    assert (network.spec, network.classes) == (f"{spec}+{conv}", 5)
    expected = substitute(create(spec, classes=5, seed=4), conv)
    shapes = [(name, value.shape) for name, value in expected.state_dict().items()]
    assert [(name, value.shape) for name, value in network.state_dict().items()] == shapes
    assert getattr(network, "aliases", None) == getattr(expected, "aliases", None)


def test_cheap_convolutions_leave_the_first_draws_as_they_are():
    plain, cheaper = create("wrn-10-1", seed=3), create("wrn-10-1+DConv", seed=3)
    assert torch.equal(plain.conv1.weight, cheaper.conv1.weight)
    assert torch.equal(plain.fc.weight, cheaper.fc.weight)


def test_a_path_with_a_plus_stays_a_path(tmp_path):
    folder = tmp_path / "c++"
    folder.mkdir()
    (folder / "a+b.py").write_text("from torch import nn\ndef net(classes): return nn.Linear(4, classes)")
    assert create(f"{folder}/a+b.py:net", classes=5).out_features == 5


@pytest.mark.parametrize("library", ["timm", "torchvision"])
def test_a_library_that_is_not_installed(monkeypatch, library):
    monkeypatch.setitem(sys.modules, library, None)  # importing it now fails as if it were not there
    with pytest.raises(BadInput, match=rf"^{library} is not installed; .*pip install potstill\[models\]$"):
        create(f"{library}:resnet18")


ERRORS = {
    "resnet20b": r"^unknown network 'resnet20b'; did you mean resnet20",
    "wrn_16_2": r"^unknown network 'wrn_16_2'; did you mean wrn-16-2",
    "zzz": r"^unknown network 'zzz'; known: resnet8, ",
    "": r"^unknown network ''; known: resnet8, ",
    "resnet20-cifar": r"^an ImageNet ResNet has a depth of 18, 34, 50, 101, 152, not 20$",
    "vgg12": r"^a VGG has a depth of 8, 11, 13, 16, 19, not 12; the nearest is 11$",
    "mobilenetv2x0": r"^a MobileNetV2 has a width of 0\.1 or more, not 0$",
    "mobilenetv2": r"^unknown network 'mobilenetv2'; did you mean mobilenetv2x0\.5\b",
    "shufflenet": r"^unknown network 'shufflenet'; did you mean shufflenetv",
    "wrn-10-1+G8B": r"^unknown convolution 'G8B'; did you mean G8B4",
    "wrn-10-1+G8-B2": r"^unknown convolution 'G8-B2'; did you mean G8B2",
    "wrn-10-1+": r"^unknown convolution ''; known: Conv, ",
    "wrn-10-1+G16B2": r"^G16B2 cannot replace block1\.0\.conv1, 16 to 16 channels: .*; nearest is G8B2$",
    "wrn-10-l+G8B2": r"^unknown network 'wrn-10-l'; did you mean wrn-",
    "timm:resnet1+G8B2": r"^unknown timm network 'resnet1'; did you mean .*resnet18",
    "nowhere.py:net+G8B2": r"^no file 'nowhere\.py' for a network$",
    "+G8B2": r"^unknown network '\+G8B2'",
    "timm:resnet1": r"^unknown timm network 'resnet1'; did you mean .*resnet18",
    "torchvision:resnet19": r"^unknown torchvision network 'resnet19'; did you mean .*resnet18",
    "tim:resnet18": r"^cannot import 'tim' for a network: No module named 'tim'$",
    "torch.nn:Lineer": r"^unknown network in torch\.nn 'Lineer'; did you mean Linear",
    "torch.nn:": r"^unknown network 'torch\.nn:'",
    ":Linear": r"^unknown network ':Linear'",
    "nowhere.py": r"^network 'nowhere\.py' is a file; say which function of it: nowhere\.py:NAME$",
    "nowhere.py:net": r"^no file 'nowhere\.py' for a network$",
    "{own}:nett": r"^unknown network in .*own\.py 'nett'; did you mean net\b",
    "{own}:constant": r"^unknown network in .*own\.py 'constant'; ",
    "{own}:number": r"own\.py:number returned an int, not a torch\.nn\.Module$",
}


@pytest.mark.parametrize("spec", ERRORS)
def test_every_wrong_name_is_one_clear_line(own, spec):
    with pytest.raises(BadInput, match=ERRORS[spec]) as error:
        create(spec.format(own=own))
    assert "\n" not in str(error.value)


def test_no_class_at_all():
    with pytest.raises(BadInput, match="classes must be 0 or more, not -1"):
        create("resnet8", classes=-1)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            "timm:hf-hub:timm/resnet18.a1_in1k",
            "'timm:hf-hub:timm/resnet18.a1_in1k': timm/resnet18.a1_in1k is neither in the cache .* connection",
        ),
        ("timm:hf_hub:timm/resnet18.a1_in1k", "is neither in the cache of Hugging Face's hub nor to be had"),
        ("timm:hf-hub:resnet18", "the form is timm:hf-hub:ORG/NAME"),
        ("timm:hf-hub:", "the form is timm:hf-hub:ORG/NAME"),
        ("timm:local-dir:/nowhere", "no file '/nowhere/config.json'"),
        ("timm:zzzzz", r"^unknown timm network 'zzzzz'; did you mean \S+ or \S+ or \S+\? timm has \d+$"),
        ("timm:", r"did you mean \S+ or \S+ or \S+\? timm has \d+$"),
        ("torchvision:xxxxx", r"did you mean \S+ or \S+ or \S+\? torchvision has \d+$"),
    ],
)
def test_names_that_a_library_does_not_know(spec, message, monkeypatch, capsys):  # C12, C16
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(BadInput, match=message) as raised:
        create(spec)
    assert len(str(raised.value)) < 250
    assert capsys.readouterr().err == ""


def test_a_configuration_in_a_folder(tmp_path):
    (tmp_path / "config.json").write_text('{"architecture": "resnet10t", "pretrained_cfg": {"num_classes": 1000}}')
    network = create(f"timm:local-dir:{tmp_path}", 7)
    assert (network.fc.out_features, network.aliases["stage4"]) == (7, "layer4")
