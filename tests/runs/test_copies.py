"""What tools/record_result.py copies of a run can be read, is vouched for, and names no folder of the machine."""

import importlib.util
from pathlib import Path

import pytest

from potstill import commands
from potstill.errors import BadInput
from potstill.recipes import supervised
from potstill.runs.recorded import read_run
from potstill.training import Training

SPEC = importlib.util.spec_from_file_location(
    "record_result", Path(__file__).resolve().parents[2] / "tools" / "record_result.py"
)
TOOL = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(TOOL)


def test_a_copy_is_whole_without_what_is_left_out(tmp_path):
    run, target = tmp_path / "run", tmp_path / "copy"
    supervised(network="resnet8", training=Training(data="digits", epochs=1, images=64, test_images=32, out=run))
    TOOL.copy(run, target)
    found = read_run(target)
    assert found.summary == read_run(run).summary
    (checked,) = commands.verify((target,))["checked"][0].values()
    assert checked["verified"]
    assert set(checked["problems"]) == {"student.safetensors"}  # which stays where it is
    assert str(tmp_path) not in (target / "config.json").read_text()
    (target / "metrics.jsonl").write_bytes((target / "metrics.jsonl").read_bytes().replace(b"0", b"1", 1))
    with pytest.raises(BadInput, match="damaged"):
        read_run(target)


@pytest.mark.parametrize(
    ("value", "short"),
    [
        ("/a/b c/d.pt", "d.pt"),
        ("auto:/a/b/answers", "auto:answers"),
        ({"x": ["1=/a/b", 3, None]}, {"x": ["1=b", 3, None]}),
        ("timm:a/b", "timm:a/b"),
        ("a/b/c", "a/b/c"),
        ("1 / 2", "1 / 2"),
    ],
)
def test_paths_are_shortened(value, short):
    assert TOOL.without_paths(value) == short
