import json

import pytest

from potstill.cli import main


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
    assert described == other


def test_without_them(capsys):
    assert describe("wrn-16-1", capsys).keys() == {"network", "parameters", "macs", "taps"}


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
