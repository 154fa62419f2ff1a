import io
import json
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from potstill.errors import BadInput
from potstill.networks import create, load_weights, start_from

# What shared/data/README.md says about its teachers: normalisation, and top-1 in percent on all 10,000 test images.
IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
CIFAR100 = ([0.5070, 0.4865, 0.4409], [0.2673, 0.2564, 0.2761])
TEACHERS = {
    "resnet20-12fca82f.th": ("resnet20a", "cifar10", "label", 10, IMAGENET, 91.73),
    "resnet32-d509ac18.th": ("resnet32a", "cifar10", "label", 10, IMAGENET, 92.63),
    "resnet44-014dd654.th": ("resnet44a", "cifar10", "label", 10, IMAGENET, 93.10),
    "resnet56-4bfd9763.th": ("resnet56a", "cifar10", "label", 10, IMAGENET, 93.39),
    "cifar100_resnet56-f2eff4c8.pt": ("resnet56", "cifar100", "fine_label", 100, CIFAR100, 72.63),
}


def first_images(folder: Path, label: str, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    file = next(folder.glob("test-*.parquet"))
    rows = parquet.read_table(file).slice(0, count).to_pylist()
    pixels = [np.asarray(Image.open(io.BytesIO(row["img"]["bytes"])).convert("RGB")) for row in rows]
    images = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2) / 255
    return images, torch.tensor([row[label] for row in rows])


@pytest.mark.parametrize("file", TEACHERS)
def test_a_published_teacher_classifies_as_well_as_it_is_said_to(shared_data, file):
    spec, data, label, classes, (mean, std), top1 = TEACHERS[file]
    network = create(spec, classes, weights=shared_data / "teachers" / file).eval()
    images, labels = first_images(shared_data / data, label, count=200)
    images = (images - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    with torch.no_grad():
        accuracy = 100 * (network(images).argmax(1) == labels).double().mean().item()
    # 200 images have a standard error of 100 * sqrt(p * (1 - p) / 200); with wrong shortcuts it is 10 to 30 points
    p = top1 / 100
    assert abs(accuracy - top1) < 3 * 100 * (p * (1 - p) / 200) ** 0.5


def kdzoo(name: str) -> str:
    return name.replace("layer", "res").replace("downsample", "ds")


def akamaster(name: str) -> str:
    return "module." + name.replace("downsample", "shortcut").replace("fc.", "linear.")


def moonshine(name: str) -> str:
    group, _, rest = name.partition(".")
    if not group.startswith("block"):
        return name
    block, _, rest = rest.partition(".")
    rest = rest.replace("conv1", "conv1.conv").replace("conv2", "conv2.conv").replace("shortcut", "convShortcut")
    return f"{group}.0.layer.{block}.{rest}"


def repdistiller(name: str) -> str:
    group, _, rest = name.partition(".")
    return f"{group}.layer.{rest.replace('shortcut', 'convShortcut')}" if group.startswith("block") else name


@pytest.mark.parametrize(
    ("spec", "spelling", "example"),
    [
        ("resnet8", kdzoo, "res2.0.ds.1.running_var"),
        ("resnet8", akamaster, "module.layer2.0.shortcut.1.running_var"),
        ("resnet8", lambda name: f"_orig_mod.module.{name}", "_orig_mod.module.fc.weight"),
        ("wrn-16-1", moonshine, "block1.0.layer.1.conv2.conv.weight"),
        ("wrn-16-1", repdistiller, "block2.layer.0.convShortcut.weight"),
    ],
)
def test_other_repositories_names(tmp_path, spec, spelling, example):
    there, here = create(spec, seed=0), create(spec, seed=1)
    state = {spelling(name): value for name, value in there.state_dict().items()}
    assert example in state
    torch.save({"epoch": 200, "best_acc": torch.tensor(93.0), "state_dict": state}, tmp_path / "last.pth")
    load_weights(here, tmp_path / "last.pth")
    for name, value in there.state_dict().items():
        assert torch.equal(here.state_dict()[name], value), name


@pytest.mark.parametrize("prefix", ["", "module."])
def test_names_that_fit_are_not_respelled_any_further(tmp_path, prefix):
    # both of these modules have the name of another repository's spelling
    network = nn.Sequential(OrderedDict(linear=nn.Linear(2, 2), module=nn.Linear(2, 2)))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    torch.save({f"{prefix}{name}": value + 1 for name, value in before.items()}, tmp_path / "own.pt")
    load_weights(network, tmp_path / "own.pt")
    assert all(torch.equal(value, before[name] + 1) for name, value in network.state_dict().items())


@pytest.mark.parametrize("wrap", ["state_dict", "model", "net", "student", "model_state", "model_state_dict"])
def test_wrapped_states(tmp_path, wrap):
    there, here = create("resnet8", seed=0), create("resnet8", seed=1)
    torch.save({wrap: there.state_dict(), "epoch": 3}, tmp_path / "file.pt")
    load_weights(here, tmp_path / "file.pt")
    assert torch.equal(here.fc.weight, there.fc.weight)


def test_roundtrip_through_safetensors_is_exact(tmp_path):
    there, here = create("wrn-10-2", seed=0), create("wrn-10-2", seed=1)
    there(torch.randn(4, 3, 8, 8))  # running statistics and counters move
    save_file(there.state_dict(), tmp_path / "network.safetensors")
    load_weights(here, tmp_path / "network.safetensors")
    for name, value in there.state_dict().items():
        assert torch.equal(here.state_dict()[name], value), name


def test_values_take_the_networks_dtypes(tmp_path):
    there, here = create("resnet8", seed=0), create("resnet8", seed=1)
    save_file({name: value.double() for name, value in there.state_dict().items()}, tmp_path / "double.safetensors")
    load_weights(here, tmp_path / "double.safetensors")
    assert {name: value.dtype for name, value in here.state_dict().items()} == {
        name: value.dtype for name, value in there.state_dict().items()
    }
    assert torch.equal(here.fc.weight, there.fc.weight)


def write(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path


def state_without(*names: str, spec: str = "resnet8", classes: int = 10) -> dict:
    return {n: v for n, v in create(spec, classes, seed=0).state_dict().items() if n not in names}


def test_old_files_lack_the_counters_of_batch_norms(tmp_path):
    state = {name: value for name, value in state_without().items() if not name.endswith("num_batches_tracked")}
    network = create("resnet8", seed=1)
    load_weights(network, write(tmp_path / "old.pt", state))
    assert torch.equal(network.fc.weight, state["fc.weight"])


MISFITS = {
    "missing": (
        lambda: state_without("fc.weight", "fc.bias"),
        "2 missing (fc.weight, fc.bias)",
    ),
    "unexpected": (
        lambda: state_without() | {f"head.{i}": torch.zeros(1) for i in range(5)},
        "5 unexpected (head.0, head.1, head.2, ...)",
    ),
    "nothing in common": (
        lambda: {"weight": torch.zeros(1)},
        "62 missing (conv1.weight, bn1.weight, bn1.bias, ...); 1 unexpected (weight)",
    ),
    "classes": (
        lambda: state_without(classes=100),
        "the file has 100 classes, not 10; "
        "2 of another shape (fc.weight (100, 64), not (10, 64), fc.bias (100,), not (10,))",
    ),
    "shape": (
        lambda: state_without() | {"bn1.bias": torch.zeros(8)},
        "1 of another shape (bn1.bias (8,), not (16,))",
    ),
}


@pytest.mark.parametrize("kind", MISFITS)
def test_a_file_that_does_not_fit_is_listed_and_changes_nothing(tmp_path, kind):
    state, complaint = MISFITS[kind]
    network = create("resnet8", seed=1)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    path = write(tmp_path / "file.pt", state())
    if kind == "nothing in common":  # counters do not count as missing
        expected = sum(not name.endswith("num_batches_tracked") for name in before)
        complaint = complaint.replace("62", str(expected))
    with pytest.raises(BadInput) as error:
        load_weights(network, path)
    assert str(error.value) == f"{path} does not fit CifarResNet: {complaint}"
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize("spec", ["resnet8", "mobilenetv2x0.5", "torchvision:squeezenet1_1"])
def test_weights_to_start_from_leave_a_classifier_of_other_classes_fresh(tmp_path, spec):
    theirs = create(spec, 7, seed=0)
    path = write(tmp_path / "seven.pt", theirs.state_dict())
    network, fresh = create(spec, 10, seed=1), create(spec, 10, seed=1).state_dict()
    (classifier,) = start_from(network, path)
    expected = theirs.state_dict() | {n: v for n, v in fresh.items() if n.startswith(f"{classifier}.")}
    assert len(network.state_dict()[f"{classifier}.weight"]) == 10
    assert all(torch.equal(value, expected[name]) for name, value in network.state_dict().items())


def test_weights_to_start_from_of_the_same_classes_are_all_taken(tmp_path):
    theirs, network = create("resnet8", seed=0), create("resnet8", seed=1)
    assert start_from(network, write(tmp_path / "own.pt", theirs.state_dict())) == ()
    assert all(torch.equal(value, theirs.state_dict()[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize(
    "change",
    [
        {"layer1.0.conv1.weight": torch.zeros(16, 8, 3, 3)},  # not only other rows
        {"bn1.weight": torch.zeros(8), "bn1.bias": torch.zeros(8)},  # 8 for 16 is no classifier of 10
        {"fc.weight": torch.zeros(7, 64)},  # without its bias
    ],
)
def test_weights_to_start_from_must_fit_but_for_the_classifier(tmp_path, change):
    network = create("resnet8", seed=1)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    state = state_without() | change if "fc.weight" not in change else state_without("fc.bias") | change
    with pytest.raises(BadInput, match=r"does not fit CifarResNet: "):
        start_from(network, write(tmp_path / "file.pt", state))
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_a_run_folder_in_the_place_of_a_file(tmp_path):
    theirs, network = create("resnet8", seed=0), create("resnet8", seed=1)
    entry = {"spec": "resnet8", "classes": 10}
    (tmp_path / "config.json").write_text(json.dumps({"networks": {"light": entry, "booster": entry}}))
    save_file(theirs.state_dict(), tmp_path / "light.safetensors")
    load_weights(network, f"{tmp_path}:light")
    assert torch.equal(network.fc.weight, theirs.fc.weight)


def test_one_tensor_under_two_spellings(tmp_path):
    state = state_without()
    path = write(tmp_path / "twice.pt", state | {"linear.weight": state["fc.weight"]})
    with pytest.raises(BadInput, match=r"holds fc\.weight twice, the second time as linear\.weight$"):
        load_weights(create("resnet8"), path)


def truncated(path: Path) -> Path:
    write(path, state_without())
    path.write_bytes(path.read_bytes()[:5000])
    return path


def text(path: Path, content: str) -> Path:
    path.write_text(content)
    return path


DAMAGED = r"^cannot read weights from .*a\.\w+: damaged, or not a file of weights$"
BAD_FILES = {
    "absent": (lambda folder: folder / "none.pt", r"^no weights file '.*none\.pt'$"),
    "folder": (lambda folder: folder, r" is not a run folder: it has no config\.json$"),
    "empty": (lambda folder: text(folder / "a.pt", ""), DAMAGED),
    "text": (lambda folder: text(folder / "a.pt", "hello"), DAMAGED),
    "html": (lambda folder: text(folder / "a.pth", "<!DOCTYPE html>"), r"a\.pth: it is a web page$"),
    "truncated": (lambda folder: truncated(folder / "a.pt"), DAMAGED),
    "text as safetensors": (
        lambda folder: text(folder / "a.safetensors", "hello, a text that is long enough"),
        DAMAGED,
    ),
    "another whole network": (
        lambda folder: write(folder / "a.pt", nn.Linear(2, 2)),
        r"a\.pt does not fit CifarResNet: .* missing .*; 2 unexpected \(weight, bias\)$",
    ),
    "list": (
        lambda folder: write(folder / "a.pt", [1, 2]),
        r"a\.pt holds no weights: a list instead of tensors by name$",
    ),
    "tensor": (lambda folder: write(folder / "a.pt", torch.ones(2)), r"holds no weights: a Tensor instead of"),
    "no state": (
        lambda folder: write(folder / "a.pt", {"epoch": 3, "optimizer": {}}),
        r"holds no weights: no tensors by name in epoch, optimizer$",
    ),
    "empty state": (
        lambda folder: write(folder / "a.pt", {"net": {}}),
        r"holds no weights: no tensors by name in net$",
    ),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_files_that_hold_no_weights_are_one_line(tmp_path, kind):
    make, message = BAD_FILES[kind]
    with pytest.raises(BadInput, match=message) as error:
        load_weights(create("resnet8"), make(tmp_path))
    assert "\n" not in str(error.value)
