import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from potstill.errors import BadInput
from potstill.networks import Input, create
from potstill.runs.networks import find


def write_run(folder: Path, networks: dict[str, str], weights: dict[str, nn.Module], classes: int = 10) -> Path:
    folder.mkdir(parents=True)
    entries = {name: {"spec": spec, "classes": classes} for name, spec in networks.items()}
    (folder / "config.json").write_text(json.dumps({"networks": entries}))
    for name, network in weights.items():
        save_file(network.state_dict(), folder / f"{name}.safetensors")
    return folder


def test_a_run_folder_brings_spec_and_weights(tmp_path):
    learner = create("resnet8", classes=5, seed=1)
    run = write_run(tmp_path / "run", {"student": "resnet8"}, {"student": learner}, classes=5)
    for spec in (str(run), f"{run}:student"):
        network = create(spec, classes=5, seed=2)
        assert (network.spec, network.classes) == ("resnet8", 5)
        assert torch.equal(network.fc.weight, learner.fc.weight)


def test_the_network_of_a_run_is_its_only_learner_or_the_student(tmp_path):
    nets = {"assistant": "wrn-10-1", "student": "resnet8"}
    built = {name: create(spec, seed=0) for name, spec in nets.items()}
    only = write_run(tmp_path / "only", {"teacher": "wrn-10-1", "net": "resnet8"}, {"net": built["student"]})
    assert create(str(only)).spec == "resnet8"
    several = write_run(tmp_path / "several", nets, built)
    assert create(str(several)).spec == "resnet8"
    assert create(f"{several}:assistant").spec == "wrn-10-1"


def test_weights_after_those_of_the_run(tmp_path):
    first, second = create("resnet8", seed=1), create("resnet8", seed=2)
    run = write_run(tmp_path / "run", {"net": "resnet8"}, {"net": first})
    save_file(second.state_dict(), tmp_path / "other.safetensors")
    assert torch.equal(create(str(run), weights=tmp_path / "other.safetensors").fc.weight, second.fc.weight)


def test_cheap_convolutions_are_built_again_and_their_weights_fit(tmp_path):
    learner = create("wrn-10-1+G8B2", seed=1)
    run = write_run(tmp_path / "run", {"student": learner.spec}, {"student": learner})
    network = create(str(run), seed=2)
    assert network.spec == "wrn-10-1+G8B2"
    for name, value in network.state_dict().items():
        assert torch.equal(value, learner.state_dict()[name])


def test_cheap_convolutions_in_the_network_of_a_run(tmp_path):
    teacher = create("wrn-10-1", seed=1)
    run = write_run(tmp_path / "run", {"net": "wrn-10-1"}, {"net": teacher})
    for spec in (f"{run}+DConv", f"{run}:net+DConv"):
        network = create(spec, seed=2)
        assert network.spec == "wrn-10-1+DConv"
        assert torch.equal(network.fc.weight, teacher.fc.weight)


def test_a_run_folder_with_a_plus_is_a_run_folder(tmp_path):
    learner = create("resnet8", seed=1)
    write_run(tmp_path / "run", {"net": "wrn-10-1"}, {"net": create("wrn-10-1")})
    run = write_run(tmp_path / "run+DConv", {"net": "resnet8"}, {"net": learner})
    for spec in (str(run), f"{run}:net"):
        assert torch.equal(create(spec).fc.weight, learner.fc.weight)
    assert create(f"{run}+DConv").spec == "resnet8+DConv"


DATA = {"name": "x", "classes": ["a"], "mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6], "shape": [3, 8, 16]}


@pytest.mark.parametrize(
    ("data", "images"),
    [
        (DATA, Input(((0.1, 0.2, 0.3), (0.4, 0.5, 0.6)), (8, 16))),
        ({**DATA, "std": None}, Input(None, (8, 16))),
        ({**DATA, "shape": [5]}, Input(((0.1, 0.2, 0.3), (0.4, 0.5, 0.6)))),
        (None, Input()),
    ],
)
def test_a_run_says_which_images_its_networks_saw_unless_it_is_an_old_one(tmp_path, data, images):
    run = write_run(tmp_path / "run", {"net": "resnet8"}, {"net": create("resnet8")})
    config = json.loads((run / "config.json").read_text()) | ({"data": data} if data else {})
    (run / "config.json").write_text(json.dumps(config))
    assert find(str(run)).input == images


ERRORS = {
    "{runs}/run+b": r"^unknown convolution 'b'; known: Conv, ",
    "{runs}/rin+DConv": r"^no run folder '.*/rin'; did you mean .*/run",
    "{runs}/rin": r"^no run folder '.*/rin'; did you mean .*/run",
    "{runs}/rin:student": r"^no run folder '.*/rin'; did you mean .*/run",
    "{runs}/nothing/here": r"^no run folder '.*/nothing/here'$",
    "{runs}": r"^.* is not a run folder: it has no config\.json$",
    "{runs}/run:studnet": r"^unknown network in .*/run 'studnet'; did you mean student\?$",
    "{runs}/run:teacher": r"^run folder .*/run has no weights teacher\.safetensors$",
    "{runs}/hundred": r"^the network in .*/hundred has 100 classes, not 10$",
    "{runs}/pair": r"^.*/pair has several networks; say which: .*/pair:light, .*/pair:booster$",
    "{runs}/unfinished": r"^run folder .*/unfinished has no weights yet$",
    "{runs}/broken": r"config\.json is damaged: Expecting property name",
    "{runs}/foreign": r"config\.json is damaged: it is \[1\], not an object$",
    "{runs}/empty": r"config\.json does not describe a run: no networks in it$",
    "{runs}/bare": r"^net of .*/bare was made by hand: nothing tells how to make it again; name it file\.py:NAME$",
}


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = tmp_path_factory.mktemp("runs")
    net = create("resnet8")
    write_run(runs / "run", {"student": "resnet8", "teacher": "resnet20"}, {"student": net})
    write_run(runs / "hundred", {"net": "resnet8"}, {"net": create("resnet8", 100)}, classes=100)
    write_run(runs / "pair", {"light": "resnet8", "booster": "resnet8"}, {"light": net, "booster": net})
    write_run(runs / "unfinished", {"net": "resnet8"}, {})
    broken = {"broken": "{", "foreign": "[1]", "empty": '{"networks": {}}', "bare": '{"networks": {"net": {}}}'}
    for name, content in broken.items():
        write_run(runs / name, {}, {"net": net})
        (runs / name / "config.json").write_text(content)
    return runs


@pytest.mark.parametrize("spec", ERRORS)
def test_what_is_wrong_with_a_run_folder_is_one_clear_line(runs, spec):
    with pytest.raises(BadInput, match=ERRORS[spec]) as error:
        create(spec.format(runs=runs))
    assert "\n" not in str(error.value)
