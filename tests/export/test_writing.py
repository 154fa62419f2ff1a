"""Files are really written, and really run: by onnxruntime, by torch.export, by their own Python file."""

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import onnxruntime
import pytest
import torch
from safetensors import safe_open

import potstill
from potstill.errors import BadInput
from potstill.export import choose_network, rebuild, run_images, usage, write


def exported(run, to, out=None):
    chosen = choose_network(str(run))
    data = run_images(chosen)
    network = rebuild(chosen.identity, data.input, chosen.weights)
    return write(chosen, network, data, to, out), network, data


def about(file: Path) -> dict[str, str]:
    if file.suffix == ".onnx":
        return onnxruntime.InferenceSession(str(file)).get_modelmeta().custom_metadata_map
    if file.suffix == ".pt2":
        extra = {"about.json": ""}
        torch.export.load(file, extra_files=extra)
        return json.loads(extra["about.json"])
    with safe_open(file, framework="pt") as weights:
        return weights.metadata()


def says_what_it_is(file, data, spec, name):
    said = about(file)
    assert said["network"] == spec
    assert (said["name"], said["weights"], said["potstill"]) == (name, "last epoch", potstill.__version__)
    assert json.loads(said["classes"]) == list(data.classes)
    assert json.loads(said["shape"]) == [3, 8, 8]
    assert (json.loads(said["mean"]), json.loads(said["std"])) == (list(data.mean), list(data.std))


def logits_of(file, to, data, folder, monkeypatch):
    """What the printed lines give for a few images; they are run as they stand."""
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (data.mean, data.std))
    images = data.images[:5] * std + mean
    names = {"images": images.numpy() if to == "onnx" else images}
    monkeypatch.syspath_prepend(file.parent)
    exec("\n".join(usage(file, to, data)), names)
    return torch.as_tensor(names["logits"])


def must_be_silent(capfd):
    said = capfd.readouterr()
    assert said.out == ""
    assert all("made by an earlier version" in line for line in said.err.splitlines()), "once, of runs made by hand"


@pytest.mark.filterwarnings("ignore:isinstance:FutureWarning")  # torch 2.11, of its own code
@pytest.mark.parametrize(
    ("run", "to", "name", "spec"),
    [
        ("moonshine", "onnx", "student", "resnet8+DConv"),
        ("moonshine", "torch", "student", "resnet8+DConv"),
        ("rocket", "safetensors", "light", "wrn-10-1"),
    ],
)
def test_every_form(runs, tmp_path, monkeypatch, capfd, run, to, name, spec):
    out = tmp_path / "new" / f"{run}{ {'onnx': '.onnx', 'torch': '.pt2', 'safetensors': '.safetensors'}[to] }"
    written, network, data = exported(runs / run, to, out)
    must_be_silent(capfd)
    assert [one.batch for one in written.found.batches] == [1, 3, 32]
    assert written.files[0] == out
    assert sorted(out.parent.iterdir()) == sorted(written.files)
    says_what_it_is(out, data, spec, name)
    logits = logits_of(out, to, data, tmp_path, monkeypatch)
    assert torch.allclose(logits, network(data.images[:5]), rtol=1e-4, atol=1e-4 * network(data.images).abs().max())
    for size in (1, 2, 7, 32):
        assert torch.allclose(written.run(data.images[:size]), network(data.images[:size]), rtol=1e-4, atol=1e-5)
    if to == "onnx":
        session = onnxruntime.InferenceSession(str(out))
        ends = [(end.name, end.shape) for end in (*session.get_inputs(), *session.get_outputs())]
        assert ends == [("images", ["batch", 3, 8, 8]), ("logits", ["batch", 10])]
        assert b"pkg.torch.onnx.fx_node" not in out.read_bytes(), "holds torch's notes"
    assert re.search(rb"/[a-z]+/potstill|site-packages", contents(out)) is None, "names a file of this machine"


def contents(file: Path) -> bytes:
    if not zipfile.is_zipfile(file):
        return file.read_bytes()
    with zipfile.ZipFile(file) as archive:
        return b"".join(archive.read(entry) for entry in archive.namelist())


def test_plain_weights_load_where_there_is_only_torch(runs, tmp_path):
    """In another process, in which neither potstill nor safetensors can be imported."""
    written, network, data = exported(runs / "moonshine", "safetensors", tmp_path / "the student.safetensors")
    loader = written.files[1]
    assert loader.name == "load_the_student.py"
    code = f"""
import sys, torch
sys.modules.update(potstill=None, safetensors=None, numpy=None)
torch.set_num_threads(1)
from load_the_student import network, classes, mean, std
assert len(classes) == 10 and mean.shape == std.shape == (3, 1, 1) and not network.training
torch.save(network(torch.load({str(tmp_path / "images.pt")!r})), {str(tmp_path / "logits.pt")!r})
"""
    torch.save(data.images, tmp_path / "images.pt")
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, cwd=tmp_path)
    assert torch.equal(torch.load(tmp_path / "logits.pt"), network(data.images))


def test_by_default_beside_the_runs_own_files_and_again_over_the_old_one(made_run, tmp_path):
    run = made_run(tmp_path / "run", {"student": "resnet8"})
    before = {file: file.read_bytes() for file in run.iterdir()}
    for _ in range(2):
        written, *_ = exported(run, "safetensors")
        assert written.files == (run / "export" / "student.safetensors", run / "export" / "load_student.py")
    assert {file: file.read_bytes() for file in run.iterdir() if file.is_file()} == before


def test_a_network_whose_file_imports_its_neighbours(made_run, tmp_path):
    """Its Python file finds them, in another process too; and what it imports is nobody else's."""
    (tmp_path / "neighbour_of_net.py").write_text("from torch import nn\nLayer = nn.Linear\n")
    (tmp_path / "net.py").write_text(
        "from torch import nn\nfrom neighbour_of_net import Layer\n\n"
        "def net(num_classes):\n    return nn.Sequential(nn.Flatten(), Layer(192, num_classes))\n"
    )
    run = made_run(tmp_path / "run", {"student": f"{tmp_path / 'net.py'}:net"})
    exported(run, "safetensors", tmp_path / "exported.safetensors")
    assert "neighbour_of_net" not in sys.modules
    assert str(tmp_path) not in sys.path
    code = "import load_exported; print(tuple(load_exported.network[1].weight.shape))"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "(10, 192)\n", done.stderr


@pytest.mark.parametrize("spec", ["timm:resnet10t", "torchvision:squeezenet1_1+DConv", "{own}:Own"])
def test_networks_from_elsewhere(made_run, own, tmp_path, spec):
    spec = spec.format(own=own)
    run = made_run(tmp_path / "run", {"student": spec})
    if "squeezenet" in spec:
        config = json.loads((run / "config.json").read_text())
        config["networks"]["student"]["input"] = {"statistics": None, "size": [20, 20]}  # 8 x 8 is too small for it
        (run / "config.json").write_text(json.dumps(config))
    written, network, data = exported(run, "safetensors")
    assert torch.equal(written.run(data.images), network(data.images))


def test_images_of_another_size_in_a_graph(made_run, tmp_path):
    run = made_run(tmp_path / "run", {"student": "resnet8"})
    config = json.loads((run / "config.json").read_text())
    own = {"statistics": [[0.5, 0.5, 0.5], [0.2, 0.2, 0.2]], "size": [12, 12]}
    config["networks"]["student"]["input"] = own
    (run / "config.json").write_text(json.dumps(config))
    written, network, data = exported(run, "torch")
    assert torch.allclose(written.run(data.images[:2]), network(data.images[:2]), atol=1e-5)
    with pytest.raises(BadInput, match="normalises images in a way of its own.*--to torch"):
        exported(run, "safetensors")


@pytest.mark.parametrize(
    ("name", "to", "message"),
    [
        ("Branching", "onnx", r"^Branching has no graph that holds for all images: .*; --to safetensors needs none$"),
        ("OfThree", "torch", r"^OfThree has no graph that holds for all images: its forward fixes the number of imag"),
        ("Deceiver", "torch", r"^student\.pt2 does not compute what the network does, and is not kept: 32 test images"),
        ("Counting", "safetensors", r"^student\.safetensors does not hold the network's weights, .*: loads differs$"),
        ("Forgetful", "safetensors", r"^student\.safetensors does not compute what the network does, and is not kept"),
    ],
)
def test_what_goes_wrong_is_said_and_leaves_no_file(made_run, own, tmp_path, capfd, name, to, message):
    run = made_run(tmp_path / "run", {"student": f"{own}:{name}"})
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(BadInput, match=message) as error:
        exported(run, to)
    assert "\n" not in str(error.value)
    must_be_silent(capfd)
    assert sorted(tmp_path.rglob("*")) == before


def test_weights_of_a_branching_network_need_no_graph(made_run, own, tmp_path):
    written, network, data = exported(made_run(tmp_path / "run", {"student": f"{own}:Branching"}), "safetensors")
    assert torch.equal(written.run(data.images), network(data.images))


@pytest.mark.parametrize(
    ("to", "out", "message"),
    [
        (
            "onnx",
            "student.onx",
            r"--out .*student\.onx does not end in \.onnx, as --to onnx has it; try student\.onnx$",
        ),
        ("torch", "student.pt", r"does not end in \.pt2"),
        ("safetensors", "run/student.safetensors", r"is among the run's own weights"),
        ("safetensors", "mine.safetensors", r"load_mine\.py is in the way, and was not written by potstill"),
    ],
)
def test_a_file_that_should_not_be_written(made_run, tmp_path, to, out, message):
    run = made_run(tmp_path / "run", {"student": "resnet8"})
    (tmp_path / "load_mine.py").write_text("mine = 1\n")
    with pytest.raises(BadInput, match=message):
        exported(run, to, tmp_path / out)
    assert (tmp_path / "load_mine.py").read_text() == "mine = 1\n"


def test_without_the_packages_of_onnx(runs, monkeypatch):
    monkeypatch.setattr("potstill.export.onnx_file.PACKAGES", ("onnx", "onnxhalf"))
    message = r"^onnxhalf is not installed; ONNX files need: pip install potstill\[export\], or use --to torch$"
    with pytest.raises(BadInput, match=message):
        exported(runs / "lone", "onnx")
