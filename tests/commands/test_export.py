import json
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import potstill as ps
from potstill.cli import main

SHORT = "--data digits --epochs 1 --images 200 --test-images 100 --batch-size 50 --device cpu"
PAGE = Path(__file__).resolve().parents[2] / "docs" / "export.md"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Finished runs: a teacher, a Moonshine student of it with stages in two parts, and a rocket."""
    folder = tmp_path_factory.mktemp("runs")
    for name, words in {
        "teacher": "supervised --network wrn-16-1",
        "student": f"moonshine --teacher {folder}/teacher --conv DConv --split 2 --lr 0.01",
        "rocket": "rocket --light wrn-10-1 --booster wrn-16-1",
    }.items():
        assert main([*f"{words} {SHORT} --out {folder / name}".split()]) == 0
    return folder


def export(line: str, capsys) -> dict:
    capsys.readouterr()
    assert main(["export", *line.split(), "--json"]) == 0, capsys.readouterr().err
    captured = capsys.readouterr()
    assert captured.err == ""
    return json.loads(captured.out)


def test_a_student_with_cheap_convolutions_and_split_stages(runs, capsys):
    found = export(f"{runs}/student --to safetensors --no-latency", capsys)
    assert (found["name"], found["network"], found["weights"]) == ("student", "wrn-16-1+DConv", "last epoch")
    file = runs / "student" / "export" / "student.safetensors"
    assert (found["file"], found["format"], found["bytes"]) == (str(file), "safetensors", file.stat().st_size)
    assert found["beside"] == {"teacher": "wrn-16-1"}
    described = ps.networks.create("wrn-16-1+DConv")
    assert found["parameters"] == ps.networks.parameters(described)
    assert [one["batch"] for one in found["checked"]] == [1, 3, 32]
    assert all(one["difference"] <= one["allowed"] for one in found["checked"])
    summary = json.loads((runs / "student" / "summary.json").read_text())
    cells = {row["cost"]: row for row in found["table"]}["top-1, %, last epoch"]
    assert cells["student"] == f"{summary['learners']['student']['last']['test']['top1']:.2f}"
    assert cells["teacher"] == f"{summary['teachers']['teacher']['top1']:.2f}"


def test_the_light_net_of_a_rocket(runs, capsys, tmp_path):
    """Training shares its convolutions with the booster; what is exported has its own."""
    out = tmp_path / "light.safetensors"
    found = export(f"{runs}/rocket --to safetensors --best --no-latency --out {out}", capsys)
    assert (found["name"], found["weights"]) == ("light", "best epoch")
    assert found["beside"] == {"booster": "wrn-16-1"}
    assert "latency_ms" not in found
    assert (found["file"], found["loader"]) == (str(out), str(tmp_path / "load_light.py"))
    stored, exported = load_file(runs / "rocket" / "light-best.safetensors"), load_file(out)
    assert stored.keys() == exported.keys()
    assert all(torch.equal(exported[name], value) for name, value in stored.items())


def test_the_finished_run_is_still_one(runs, capsys):
    export(f"{runs}/teacher --to safetensors --no-latency", capsys)
    assert main([*f"supervised --network wrn-16-1 {SHORT} --out {runs}/teacher".split()]) == 0
    assert main(["evaluate", "--network", f"{runs}/teacher", "--data", "digits"]) == 0
    assert main(["report", f"{runs}/teacher", "--out", f"{runs}/report.html"]) == 0


def test_the_printed_page(runs, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "140")
    capsys.readouterr()
    assert main(["export", f"{runs}/student", "--to", "safetensors"]) == 0
    text = capsys.readouterr().out
    lines = [line.split() for line in text.splitlines()]
    assert lines[0] == ["cost", "student", "teacher", "ratio"]
    assert ["multiply-adds", *(f"{cost:,}" for cost in macs("wrn-16-1+DConv", "wrn-16-1"))] in [li[:3] for li in lines]
    assert ["teacher", "wrn-16-1"] in lines
    assert re.search(r"ms, batch of 64, \d+ runs  +[\d.]+ \([\d.]+ to [\d.]+\)", text)
    assert "32 test images, in batches of 1, 3, 32: logits differ by " in text
    assert text.splitlines()[-1].startswith("logits = network((images - mean) / std)  # images: (N, 3, 8, 8)")


def test_help(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["export", "--help"])
    assert "--to onnx|torch|executorch|safetensors" in capsys.readouterr().out


def macs(*specs):
    return [ps.networks.macs(ps.networks.create(spec), (3, 8, 8)) for spec in specs]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{runs}/studnet", "did you mean"),
        ("{runs}/student:studnt", "did you mean student?"),
        ("{runs}/student --to onx", "onnx"),
        ("{runs}/student --to torch --out student.onnx", "try student.pt2"),
        ("{runs}/student --bst", "did you mean --best"),
        ("", "run"),
    ],
)
def test_bad_input_is_one_line(runs, capsys, line, message):
    capsys.readouterr()
    assert main(["export", *line.format(runs=runs).split()]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err.lower()
    assert len(captured.err.splitlines()) == 1


def test_the_page_in_docs_runs(runs, tmp_path, monkeypatch, capsys):
    page = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"```(\w+)\n(.*?)```", page, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").symlink_to(runs, target_is_directory=True)
    network = ps.networks.create("runs/student").eval()
    raw = torch.rand(4, 3, 8, 8)
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in ps.data.normalize.STATISTICS["digits"])
    expected = network((raw - mean) / std).detach()
    python = 0
    for language, block in blocks:
        if language == "sh":
            for line in block.splitlines():
                assert main([*line.removeprefix("potstill ").split(), "--no-latency"]) == 0, capsys.readouterr().err
        elif language == "python":
            monkeypatch.syspath_prepend("runs/student/export")
            names = {"images": raw.numpy() if "onnxruntime" in block else raw}
            exec(block, names)
            logits = torch.as_tensor(names["logits"])
            assert torch.allclose(logits, expected, rtol=1e-3, atol=1e-3 * expected.abs().max())
            python += 1
    assert python == 3
