"""How commands end: a code for each kind of end, one line, and JSON that is JSON."""

import json
import re
import subprocess
import sys

import pytest
import torch

from potstill.cli import main
from potstill.device import find_device
from potstill.errors import BadInput
from potstill.exit_codes import CODES
from potstill.strict_json import strict

OWN = """
import sys
def {name}() -> dict:
    \"\"\"A recipe.\"\"\"
    {body}
"""


def run_own(tmp_path, body, *more):
    file = tmp_path / "mine.py"
    file.write_text(OWN.format(name="main", body=body))
    return main(["run", str(file), *more])


def test_help_tells_the_codes(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    said = capsys.readouterr().out
    assert [int(code) for code in re.findall(r"(?m)^  (\d+) +\w", said.partition("Exit codes:")[2])] == list(CODES)
    assert list(CODES) == [0, 1, 2, 3, 70, 130, 143]


C6 = [
    ("sys.exit(0)", "it called exit(0)"),
    ("sys.exit()", "it called exit(None)"),
    ("exit(0)", "exit(0)"),
    ("raise SystemExit('done')", "exit('done')"),
    ("1 / 0", "ZeroDivisionError: division by zero"),
    ("raise AssertionError", "AssertionError"),
    ("import nothing_of_this_name", "No module named 'nothing_of_this_name'"),
    ("return main()", "RecursionError"),
    ("import potstill as ps; ps.networks.parameters(5)", "AttributeError"),
]


@pytest.mark.parametrize(("body", "message"), C6, ids=[body for body, _ in C6])
def test_c6_what_an_own_recipe_does_wrong_is_one_line_with_its_file(body, message, tmp_path, capsys):
    assert run_own(tmp_path, body) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert "mine.py" in line


def test_c6_a_flag_that_would_be_two_is_named(tmp_path, capsys):
    file = tmp_path / "mine.py"
    file.write_text(
        "import potstill as ps\ndef main(*, workers: int = 1, training: ps.Training = ps.Training()) -> dict: return {}"
    )
    assert main(["run", str(file)]) == 2
    assert "--workers would be two flags" in capsys.readouterr().err


FAULTS = [ValueError("ours\nof two lines"), RecursionError("too deep"), KeyError("x"), AssertionError()]


@pytest.mark.parametrize("error", FAULTS, ids=[type(error).__name__ for error in FAULTS])
def test_a_fault_of_ours_is_one_line_and_a_file_with_the_traceback(error, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def list_kind(kind: str, /) -> dict:
        """Fails."""
        raise error

    monkeypatch.setattr("potstill.commands.list_kind", list_kind)
    for _ in range(2):
        assert main(["list", "losses"]) == 70
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert "fault of potstill's own" in lines[0]
    assert type(error).__name__ in lines[0]
    files = list(tmp_path.glob("potstill-fault-*.txt"))
    assert len(files) == 2, "none is overwritten"
    for file, line in zip(sorted(files), sorted(lines), strict=True):
        assert any(str(one) in line for one in files)
        assert "Traceback (most recent call last)" in file.read_text()
        assert "potstill list losses" in file.read_text()


MEMORY = [
    MemoryError(),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory: you tried 9 TB"),
]


@pytest.mark.parametrize("error", MEMORY, ids=[type(error).__name__ for error in MEMORY])
def test_c11_want_of_memory_is_one_line_and_exit_code_3(error, monkeypatch, capsys):
    def list_kind(kind: str, /) -> dict:
        """Fails."""
        raise error

    monkeypatch.setattr("potstill.commands.list_kind", list_kind)
    assert main(["list", "losses"]) == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("potstill: out of memory")
    assert "--batch-size" in line


def refuse(name):
    raise ValueError(f"no {name} in JSON")


B5 = [
    "float('nan')",
    "-float('inf')",
    "{'a': [1, (float('nan'), {'b': float('inf')})]}",
    "__import__('numpy').float32('nan')",
    "__import__('torch').tensor([1.0, float('nan')])",
    "{1: __import__('pathlib').Path('x'), None: {2, 2}}",
    "None",
    "[]",
    "5",
]


@pytest.mark.parametrize("value", B5)
def test_b5_json_is_always_strict_json(value, tmp_path, capsys):
    assert run_own(tmp_path, f"return {{'result': {value}}}", "--json") == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert "result" in json.loads(line, parse_constant=refuse)
    assert run_own(tmp_path, f"return {value}", "--json") == 0
    json.loads(capsys.readouterr().out, parse_constant=refuse)
    assert run_own(tmp_path, f"return {value}") == 0


def test_strict_json_of_what_is_none():
    assert json.loads(strict({"a": float("nan"), "b": torch.tensor(2.5), "c": True})) == {
        "a": None,
        "b": 2.5,
        "c": True,
    }


DEVICES = [
    "meta",
    "meta:3",
    "xpu:99",
    "mps:7",
    "hpu",
    "ipu",
    "xla",
    "vulkan",
    "privateuseone",
    "mtia",
    "hip",
    "lazy",
    "",
]
DEVICES += ["cpu:-1", "cuda:99999999999", "cuda:x", "CPU", "gpu", "cuda:77", "auto:1"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", DEVICES)
def test_c11_a_device_that_is_not_here_is_one_line(name):
    with pytest.raises(BadInput, match="--device .*: not on this machine"):
        find_device(name)


def test_the_command_line_answers_a_signal_before_it_has_imported_anything():
    code = """
import os, signal, sys
from importlib.abc import MetaPathFinder
class Stop(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "potstill.cli":
            os.kill(os.getpid(), signal.SIGTERM)
sys.meta_path.insert(0, Stop())
from potstill.__main__ import run
sys.exit(run())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (143, "potstill: stopped by SIGTERM; the same command continues\n")
