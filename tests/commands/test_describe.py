import json
import time

import pytest
import torch
from torch import nn

import potstill as ps
from potstill.cli import main
from potstill.commands.describe import measure


def describe(line: str, capsys) -> dict:
    assert main(["describe", *line.split(), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("conv", ["G8B2", "DConv3D"])
def test_cheap_convolutions(oracle, conv, capsys):
    recorded = json.loads((oracle / "networks.json").read_text())["moonshine"]["nets"][f"wrn-16-2.{conv}"]
    described = describe(f"wrn-16-2 --conv {conv}", capsys)
    assert described["conv"] == conv
    assert described["parameters"] == recorded["parameters_total"]
    assert described["macs"] == recorded["macs_conv_linear_32x32"]
    assert described["taps"]["stage1"] == "block1"


def test_a_plus_does_what_conv_does(capsys):
    described = describe("wrn-16-2+G8B2", capsys)
    assert described.pop("network") == "wrn-16-2+G8B2"
    other = describe("wrn-16-2 --conv G8B2", capsys)
    assert (other.pop("network"), other.pop("conv")) == ("wrn-16-2", "G8B2")
    assert other.pop("table")  # with what they replace; after a plus there is nothing else
    assert described == other


def test_without_them(capsys):
    assert describe("wrn-16-1", capsys).keys() == {
        *("network", "parameters", "conv_parameters", "macs"),
        *("taps", "shapes"),
    }


@pytest.mark.parametrize("conv", ["G8B2", "Conv2x2"])
def test_teacher_and_student_side_by_side(oracle, conv, capsys):
    recorded = json.loads((oracle / "networks.json").read_text())["moonshine"]["nets"]
    teacher, student = recorded["wrn-16-2.Conv"], recorded[f"wrn-16-2.{conv}"]
    rows = {row.pop("cost"): row for row in describe(f"wrn-16-2 --conv {conv}", capsys)["table"]}
    fields = {
        "parameters": "parameters_total",
        "conv parameters": "parameters_conv",
        "multiply-adds": "macs_conv_linear_32x32",
    }
    assert rows.keys() == fields.keys()
    for cost, field in fields.items():
        ratio = student[field] / teacher[field]
        assert rows[cost] == {"teacher": teacher[field], "student": student[field], "ratio": ratio}


def test_layers_are_of_the_student_and_sum_up(capsys):
    described = describe("wrn-10-1 --conv DConv --layers", capsys)
    assert sum(layer["parameters"] for layer in described["layers"]) == described["parameters"]
    assert sum(layer["macs"] for layer in described["layers"]) == described["macs"]
    assert "block1.0.conv1.pointwise" in [layer["path"] for layer in described["layers"]]
    assert "layers" not in describe("wrn-10-1 --conv DConv", capsys)


def test_latency_never_without_its_spread_and_its_machine(capsys):
    described = describe("wrn-10-1 --conv DConvB8 --latency --device cpu --input 3 8 8", capsys)
    assert (described["device"], described["threads"]) == ("cpu", torch.get_num_threads())
    assert [row["batch"] for row in described["latency_ms"]] == [1, 64]
    for row in described["latency_ms"]:
        assert row["runs"] >= 5
        for which in ("teacher", "student", "ratio"):
            assert 0 < row[which]["low"] <= row[which]["median"] <= row[which]["high"]
    cells = described["table"][-1]
    assert cells["cost"] == f"ms, batch of 64, {row['runs']} runs"
    assert cells["student"].startswith(f"{row['student']['median']:.3g} (")


class Sleeper(nn.Module):
    def __init__(self, seconds):
        super().__init__()
        self.seconds = seconds

    def forward(self, images):
        time.sleep(self.seconds)
        return images


def test_the_ratio_is_that_of_the_student_to_the_teacher():
    numbers, rows = measure({"teacher": Sleeper(0.001), "student": Sleeper(0.005)}, (3, 8, 8), "cpu")
    for row, cells in zip(numbers["latency_ms"], rows, strict=True):
        assert row["teacher"]["median"] < row["student"]["median"]
        assert 1.5 < row["ratio"]["median"] < row["student"]["median"]
        assert cells["ratio"].startswith(f"{row['ratio']['median']:.3g} (")


def test_latency_of_one_network(capsys):
    described = describe("wrn-10-1 --latency --device cpu --input 3 8 8", capsys)
    assert described["latency_ms"][0].keys() == {"batch", "runs", "network"}
    assert [set(row) for row in described["table"]] == [{"cost", "network"}] * 5


def test_the_printed_page(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    counts = [ps.networks.parameters(ps.networks.create(spec)) for spec in ("wrn-10-1", "wrn-10-1+G4B2")]
    assert main(["describe", "wrn-10-1", "--conv", "G4B2", "--layers"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["cost", "teacher", "student", "ratio"]
    assert ["parameters", *(f"{count:,}" for count in counts), f"{counts[1] / counts[0]:.4f}"] in lines
    assert ["conv1", "Conv2d", "[1,", "16,", "32,", "32]", "432", "0", "442,368"] in lines
    assert ["stage1", "block1", *["16", "x", "32", "x", "32"]] in lines
    assert main(["describe", "wrn-10-1"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 13


OWN = """
from torch import nn

class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width)

    def forward(self, x):
        return x + self.norm(self.conv(x)), None

class Net(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.stem = nn.LazyConv2d(8, 3, 2, 1)
        self.blocks = nn.ModuleList([Block(8) for _ in range(12)])
        self.unused, self.fc = nn.Linear(3, 3), nn.Linear(8, classes)

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x, _ = block(x)
        return {"logits": self.fc(x.mean((2, 3)))}
"""


def test_taps_of_an_own_network_are_listed_once_with_their_shapes(tmp_path, capsys):  # D
    (tmp_path / "own.py").write_text(OWN)
    spec = f"{tmp_path / 'own.py'}:Net"
    described = describe(f"{spec} --input 3 16 16 --classes 7", capsys)
    assert len(described["taps"]) == len(described["shapes"]) == 1 + 1 + 12 * 3 + 2
    assert described["shapes"] | {"blocks.11": [8, 8, 8], "fc": [7], "unused": None} == described["shapes"]
    assert main(["describe", spec, "--input", "3", "16", "16"]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines[:7] == [
        "tap output",
        "stem 8 x 8 x 8",
        "blocks no tensor",
        "blocks.0 ... blocks.11 8 x 8 x 8",
        "blocks.0.conv ... blocks.11.conv 8 x 8 x 8",
        "blocks.0.norm ... blocks.11.norm 8 x 8 x 8",
        "unused no tensor",
    ]


def test_a_run_says_its_classes_and_images(tmp_path, capsys):  # C12
    folder = str(tmp_path / "run")
    command = f"supervised --network resnet8 --data digits --images 32 --test-images 20 --epochs 1 --out {folder}"
    assert main([*command.split(), "--device", "cpu"]) == 0
    capsys.readouterr()
    described = describe(folder, capsys)
    assert described["shapes"]["stage1"] == [16, 8, 8]
    assert describe(f"{folder} --input 3 16 16", capsys)["shapes"]["stage1"] == [16, 16, 16]


@pytest.mark.parametrize(
    ("conv", "message"),
    [
        ("G8B", "potstill: unknown convolution 'G8B'; did you mean G8B4"),
        ("G16B2", "potstill: G16B2 cannot replace block1.0.conv1, 16 to 16 channels: groups of 16 are larger than"),
        ("", "unknown convolution ''"),
    ],
)
def test_bad_convolutions(conv, message, capsys):
    assert main(["describe", "wrn-16-1", "--conv", conv]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1
