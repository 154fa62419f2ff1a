"""8-bit files are written, run by onnxruntime alone, and measured again by hand; what loses too much is no file."""

import contextlib
import io
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper
from PIL import Image

import potstill as ps
from potstill.cli import main
from potstill.data.digits import digits
from potstill.engine.rounding import rounded_weight
from potstill.errors import BadInput
from potstill.export import choose_network, run_images
from potstill.export.int8 import calibration_images

pytestmark = pytest.mark.filterwarnings("ignore:isinstance:FutureWarning")  # torch 2.11, of its own code

OUTLIER = """
import torch
from torch import nn


class Outlier(nn.Module):
    # One feature is a thousand times the others, and counts for nothing: it takes all of a scale's steps.
    def __init__(self, classes):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 16, 3), nn.Linear(17, classes)

    def forward(self, images):
        features = self.conv(images).relu().amax((2, 3))
        large = 1000 * features.amax(1, keepdim=True)
        return self.fc(torch.cat([features, large], 1)) - large * self.fc.weight[:, -1]
"""
SHORT = "--data digits --epochs 3 --batch-size 50 --lr 0.02 --test-images 300 --device cpu"


def blocks(language):
    page = (Path(__file__).resolve().parents[2] / "docs" / "quantisation.md").read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """What the page trains with --qat, of fewer images."""
    out = tmp_path_factory.mktemp("run") / "run"
    (command,) = (line for line in blocks("sh")[1].splitlines() if "--qat" in line)
    words = command.partition(" --out ")[0].split()[1:]
    assert main([*words, "--images", "600", *SHORT.split()[2:], "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="module")
def exported(run):
    """The command's own file, and what it printed."""
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        assert main(["export", str(run), "--int8", "--calibration-images", "120", "--no-latency", "--json"]) == 0
    return run / "export" / "student-int8.onnx", json.loads(text.getvalue())


def predicted(file, images):
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    about = session.get_modelmeta().custom_metadata_map
    mean, std = (np.array(json.loads(about[name]), "float32").reshape(-1, 1, 1) for name in ("mean", "std"))
    return session.run(["logits"], {"images": (images - mean) / std})[0].argmax(1), about


def test_what_is_printed_and_kept_is_what_the_file_does(run, exported):
    file, told = exported
    found = told["int8"]
    assert (told["file"], told["bytes"]) == (str(file), file.stat().st_size)
    data = ps.data.load("digits", test_images=300)
    rows = torch.cat([batch["index"] for batch in data.test])
    test = digits()[1]
    images = test.images[rows].permute(0, 3, 1, 2).numpy().astype("float32") / 255
    chosen, about = predicted(file, images)
    labels = test.labels[rows].numpy()
    assert found["n"] == 300
    assert found["top1"] == pytest.approx(100 * (chosen == labels).mean())
    summary = json.loads((run / "summary.json").read_text())
    assert found["float_top1"] == pytest.approx(summary["learners"]["student"]["last"]["test"]["top1"])
    assert found["drop"] == pytest.approx(found["float_top1"] - found["top1"])
    network = ps.networks.create(str(run)).eval()
    as_float = torch.cat([network(batch["images"]) for batch in data.test]).argmax(1).numpy()
    assert found["same"] == pytest.approx(100 * (chosen == as_float).mean(), abs=0.34)
    assert found["same"] > 90
    assert json.loads(about["int8"]) == found
    assert json.loads(about["classes"]) == list("0123456789")
    assert (about["shorter_side"], about["network"]) == ("8", "resnet8")
    weights = (run / "student.safetensors").stat().st_size
    assert told["bytes"] < 0.5 * weights < found["float_bytes"]
    cells = {row["cost"]: (row["student"], row["file"]) for row in told["table"]}
    assert cells["bytes of the files"] == (found["float_bytes"], told["bytes"])
    assert cells["top-1, %, of the files"] == (f"{found['float_top1']:.2f}", f"{found['top1']:.2f}")


def test_weights_have_seven_bits_and_a_scale_a_channel_activations_eight(exported):
    model = onnx.load(exported[0])
    values = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
    producers = {output: node for node in model.graph.node for output in node.output}
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    assert len(convolutions) == 9  # stem, six in blocks, two shortcuts; batch norm is folded into them
    assert not [node for node in model.graph.node if node.op_type == "BatchNormalization"]
    for node in convolutions:
        image, weight = (producers[name] for name in node.input[:2])
        assert (image.op_type, weight.op_type) == ("DequantizeLinear", "DequantizeLinear")
        stored, scales = values[weight.input[0]], values[weight.input[1]]
        assert stored.dtype == np.int8
        assert len(scales) == len(stored) > 1
        assert np.abs(stored.astype(int)).max() <= 64
        assert values[image.input[2]].dtype == np.uint8


def test_weights_are_those_that_qat_trains_with(run, exported):
    """The rounding of `--qat`, of a convolution whose batch norm is folded into it."""
    model = onnx.load(exported[0])
    values = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
    producers = {output: node for node in model.graph.node for output in node.output}
    stem = producers[next(node for node in model.graph.node if node.op_type == "Conv").input[1]]
    network = ps.networks.create(str(run))
    weight, norm = network.conv1.weight.detach(), network.bn1
    factor = norm.weight.detach() / (norm.running_var + norm.eps).sqrt()
    steps = weight.abs().amax((1, 2, 3), keepdim=True) / 64
    rounded = rounded_weight(network.conv1, weight) / steps * factor.sign().view(-1, 1, 1, 1)
    np.testing.assert_allclose(values[stem.input[1]], steps.flatten() * factor.abs(), rtol=1e-4)
    differing = np.abs(values[stem.input[0]] - rounded.numpy()) > 1e-3
    assert differing.mean() < 0.01  # which a last bit of the folded weight decides


def test_ranges_are_measured_on_plain_training_images(run):
    data = run_images(choose_network(str(run)))
    batches = list(calibration_images(data, 120))
    rows = torch.cat([batch["index"] for batch in batches])
    assert len(rows) == len(rows.unique()) == 120
    assert set(rows.tolist()) <= set(data.data.train.rows.tolist())
    plain = digits()[0].images[rows].permute(0, 3, 1, 2) / 255
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (data.mean, data.std))
    assert torch.allclose(torch.cat([batch["images"] for batch in batches]), (plain - mean) / std, atol=1e-5)
    assert calibration_images(data, None).count == 500
    with pytest.raises(BadInput, match=r"--calibration-images is 601, but must be 1\.\.600"):
        calibration_images(data, 601)


def test_what_loses_too_much_is_refused_and_leaves_no_file(tmp_path, capsys):
    (tmp_path / "own.py").write_text(OUTLIER)
    run = tmp_path / "run"
    assert main(f"supervised --network {tmp_path}/own.py:Outlier {SHORT} --out {run}".split()) == 0
    capsys.readouterr()
    before = sorted(run.rglob("*"))
    assert main(["export", str(run), "--int8", "--no-latency"]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert "points below" in said
    assert "and --max-drop is 1: nothing is written" in said
    assert sorted(run.rglob("*")) == before
    assert main(["export", str(run), "--int8", "--no-latency", "--max-drop", "100", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["int8"]
    assert found["drop"] > 5
    assert f"{found['drop']:.2f} points below {found['float_top1']:.2f} %" in said


def test_the_python_of_the_page_says_what_predict_says(run, exported, tmp_path, monkeypatch, capsys):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "student").symlink_to(run, target_is_directory=True)
    monkeypatch.chdir(tmp_path)
    (python,) = blocks("python")
    said = []
    for row in range(5):
        picture = Image.fromarray(digits()[1].images[row].numpy())
        picture.resize((8, 8) if row else (16, 24), Image.Resampling.BICUBIC).save("photo.png")
        capsys.readouterr()
        exec(python, {})
        said.append(capsys.readouterr().out.strip())
        assert main(["predict", str(exported[0]), "photo.png", "--json"]) == 0
        predicted = json.loads(capsys.readouterr().out)["predictions"][0]["top"][0]["class"]
        assert said[-1] == predicted
    assert len(set(said)) > 1


def test_the_cpp_of_the_page_does_so_too(exported, tmp_path):
    """Where onnxruntime's headers and library are: its releases have both, its Python package has neither."""
    home = Path(os.environ.get("ONNXRUNTIME_HOME", "/usr"))
    header = next((path.parent for path in home.glob("include/**/onnxruntime_cxx_api.h")), None)
    if header is None or shutil.which("g++") is None:
        pytest.skip(f"no onnxruntime_cxx_api.h below {home}/include: the C++ example is not compiled")
    (tmp_path / "example.cpp").write_text(blocks("cpp")[0])
    program, library = tmp_path / "example", home / "lib"
    flags = ["-std=c++17", f"-I{header}", f"-L{library}", f"-Wl,-rpath,{library}", "-lonnxruntime"]
    subprocess.run(["g++", str(tmp_path / "example.cpp"), "-o", str(program), *flags], check=True)
    (tmp_path / "image.rgb").write_bytes(digits()[1].images[1].numpy().tobytes())
    statistics = [str(value) for values in ps.data.normalize.STATISTICS["digits"] for value in values]
    command = [str(program), str(exported[0]), str(tmp_path / "image.rgb"), "8", *statistics]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    chosen, _ = predicted(exported[0], digits()[1].images[1:2].permute(0, 3, 1, 2).numpy().astype("float32") / 255)
    assert int(said) == chosen[0]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--int8 --to torch", "--int8 is for --to onnx, not --to torch"),
        ("--max-drop 2", "--max-drop 2 is for --int8"),
        ("--calibration-images 10", "--calibration-images 10 is for --int8"),
        ("--int8 --max-drop -1", "--max-drop"),
        ("--int8 --out x.pt2", "does not end in .onnx"),
    ],
)
def test_bad_input(run, capsys, words, message):
    capsys.readouterr()
    assert main(["export", str(run), *words.split()]) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert len(said.err.splitlines()) == 1
    assert not Path("x.pt2").exists()
