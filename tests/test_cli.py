import json
import re
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

import potstill
from potstill.cli import main, show

RUN = "--data digits --epochs 1 --batch-size 200"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run of one epoch."""
    out = tmp_path_factory.mktemp("run") / "run"
    assert main(f"supervised --network resnet8 {RUN} --out {out}".split()) == 0
    return out


def test_help_lists_every_command_and_imports_no_torch():
    code = """
import sys
from potstill.cli import main
try:
    main(["--help"])
except SystemExit as stop:
    assert stop.code == 0
assert main(["distill", "--studnet", "resnet20"]) == 2
assert main(["supervise"]) == 2
import potstill
heavy = {"torch", "torchvision", "timm", "tyro", "rich", "numpy"} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for command in ("demo", "supervised", "distill", "rocket", "run", "evaluate", "describe", "list"):
        assert f"\n  {command} " in done.stdout
    assert "did you mean --student" in done.stderr
    assert "did you mean supervised" in done.stderr


def test_import_needs_neither_torchvision_nor_timm():
    code = "import sys, potstill; potstill.Distiller, potstill.fit, potstill.losses.KD, potstill.networks.create; "
    code += "assert not {'torchvision', 'timm'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_public_names():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = potstill.nothing


def test_version(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"potstill {potstill.__version__}\n"
    with pytest.raises(SystemExit, match="0"):
        main(["--json", "--version"])
    assert json.loads(capsys.readouterr().out) == {"version": potstill.__version__}


@pytest.mark.parametrize("command", ["supervised", "distill", "rocket", "evaluate", "describe", "list", "demo"])
def test_help_of_a_command(command, capsys):
    with pytest.raises(SystemExit, match="0"):
        main([command, "--help"])
    assert "--help" in capsys.readouterr().out


def test_json_is_one_object_and_nothing_else(run, capsys):
    assert main(f"supervised --network resnet8 {RUN} --out {run} --json".split()) == 0
    assert json.loads(capsys.readouterr().out)["learners"]["student"]["parameters"] > 0


def test_tables_for_people(run, capsys):
    assert main(f"supervised --network resnet8 {RUN} --out {run}".split()) == 0
    assert "student" in capsys.readouterr().out


def test_a_summary_for_people_whatever_was_measured(capsys):
    def reached(epoch, test):
        return {"epoch": epoch, "test": test}

    networks = {"top1": {"top1": 91.734}, "recall": {"recall": 0.5, "top1": 3.0}, "nothing": {}}
    learners = {n: {"parameters": 5, "last": reached(3, t), "best": reached(2, t)} for n, t in networks.items()}
    show({"learners": learners, "teachers": {"measured": {"parameters": 7, "macs": 9, "top1": 95.0}, "features": {}}})
    lines = [re.split(r"  +", line.strip()) for line in capsys.readouterr().out.splitlines()]
    assert lines[1:] == [
        ["top1", "5", "91.73 %", "91.73 % (2)"],
        ["recall", "5", "0.5000", "0.5000 (2)"],
        ["nothing", "5", "-", "-"],
        ["measured (frozen)", "7", "95.00 %"],
        ["features (frozen)", "-"],
    ]


def test_evaluate_repeats_what_the_run_measured(run, capsys):
    assert main(f"evaluate --network {run} --data digits --json".split()) == 0
    from_folder = json.loads(capsys.readouterr().out)
    weights = run / "student.safetensors"
    assert main(f"evaluate --network resnet8 --weights {weights} --data digits --json".split()) == 0
    assert json.loads(capsys.readouterr().out) == from_folder
    summary = json.loads((run / "summary.json").read_text())
    assert from_folder == summary["learners"]["student"]["last"]["test"]


@pytest.mark.parametrize(("network", "top1"), [("resnet20a resnet20-12fca82f.th", 91.73)])
def test_evaluate_a_third_partys_teacher(shared_data, capsys, network, top1):
    """The README's command; the other four take minutes and are run by hand before a release."""
    name, file = network.split()
    words = f"evaluate --network {name} --weights {shared_data}/teachers/{file} --data cifar10 --normalize imagenet"
    assert main([*words.split(), "--data-dir", str(shared_data), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["top1"] == pytest.approx(top1, abs=0.01)


def test_describe(capsys):
    assert main(["describe", "resnet20", "--classes", "100", "--json"]) == 0
    described = json.loads(capsys.readouterr().out)
    assert described["network"] == "resnet20"
    assert (described["parameters"], described["macs"]) == (278324, 40818944)  # the oracle's networks.json
    assert described["taps"]["stage1"] == "layer1"


@pytest.mark.parametrize(("kind", "name"), [("losses", "KD"), ("networks", "wrn-{depth}-{width}"), ("data", "digits")])
def test_list(kind, name, capsys):
    assert main(["list", kind, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)[kind]
    assert name in rows
    if kind != "losses":  # those have a table, see test_catalogue.py
        assert all(sentence.strip().endswith(".") for sentence in rows.values()), rows


def test_switches_are_real():
    from potstill.flags import call

    seen = []

    def record(*, gradient_block: bool = True, training: potstill.Training = potstill.Training()) -> dict:  # noqa: B008
        """Keep what arrives."""
        seen.append((gradient_block, training.compile))
        return {}

    for words in ([], ["--no-gradient-block", "--compile"], ["--gradient-block", "--no-compile"]):
        call("record", record, words)
    assert seen == [(True, False), (False, True), (True, False)]


def test_run_a_recipe_of_ones_own(tmp_path, capsys):
    file = tmp_path / "mine.py"
    file.write_text(
        "def main(*, times: int = 2) -> dict:\n    '''Double.'''\n    return {'result': 2 * times}\n"
        "def other() -> dict:\n    '''Other.'''\n    return {'result': 'other'}\n"
    )
    assert main(["run", str(file), "--times", "4", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"result": 8}
    assert main(["run", f"{file}:other", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"result": "other"}


def bad_files(folder, run):
    """Files that are not what they should be."""
    (folder / "noise.safetensors").write_bytes(b"noise" * 100)
    (folder / "empty.th").write_bytes(b"")
    whole = load_file(run / "student.safetensors")
    save_file({name: value for name, value in whole.items() if "layer2" not in name}, folder / "part.safetensors")
    (folder / "halved.safetensors").write_bytes((run / "student.safetensors").read_bytes()[:9000])
    torch.save({"state_dict": whole, "epoch": 3}, folder / "fine.th")


BAD = [
    ("supervised --network resnet21 --data digits", "not 21; the nearest is 20"),
    ("supervised --network resnt20 --data digits", "did you mean resnet20"),
    ("supervised --network resnet8 --data digit", "did you mean digits"),
    ("supervised --network resnet8 --data digits --epoch 3", "did you mean --epochs"),
    ("supervised --network resnet8 --data digits --epochs three", "potstill: --epochs: invalid literal"),
    ("supervised --network resnet8 --data digits --epochs 0", "--epochs must be 1 or more, not 0"),
    ("supervised --network resnet8 --data digits --lr -1", "potstill: --lr must be positive, not -1"),
    ("supervised --network resnet8 --data digits --precision fp8", "fp8"),
    ("supervised --network resnet8 --data digits --device tpu9", "--device tpu9"),
    ("supervised --network resnet8 --data digits --holdout 5000", "5000"),
    ("supervised --network resnet8 --data digits --normalize imagnet", "did you mean imagenet"),
    ("supervised --network resnet8 --data cifar10 --data-dir {tmp}/nowhere", "nowhere"),
    ("supervised --data digits", "--network"),
    ("supervised --network resnet8 --data digits --weights {tmp}/none.safetensors", "none.safetensors"),
    ("supervised --network {tmp}/no-run --data digits", "no run folder"),
    ("supervised --network mine.py:net --data digits", "no file 'mine.py'"),
    ("supervised --network timm:resnet19 --data digits", "resnet18"),
    ("supervised --network torchvision:resnet19 --data digits", "resnet18"),
    ("supervised --network resnet8 --data digits --out {tmp}/noise.safetensors", "is a file, not a folder"),
    ("supervised --network resnet8 --data digits --out {tmp}/noise.safetensors/run", "Not a directory"),
    ("supervised --network resnet8 --data digits --out {tmp}", "is not empty and holds no run"),
    ("supervised --network resnet8 --data digits --epochs 1 --out {run}", "--batch-size was 200 there and is 128 now"),
    ("distill --student resnet8 --teacher resnet14 --data digits", "give --teacher-weights FILE, or a run folder"),
    ("distill --student resnet8 --teacher resnet8 --teacher-weights {tmp}/noise.safetensors --data digits", "noise"),
    ("distill --student resnet8 --teacher resnet8 --teacher-weights {tmp}/empty.th --data digits", "empty.th"),
    ("distill --student resnet8 --teacher resnet8 --teacher-weights {tmp}/part.safetensors --data digits", "missing"),
    ("distill --student resnet8 --teacher resnet8 --teacher-weights {tmp}/halved.safetensors --data digits", "halved"),
    ("distill --student resnet8 --teacher {run} --data digits --terms KDD", "did you mean KD"),
    ("distill --student resnet8 --teacher {run} --data digits --terms AT_on_layr1", "nearest: student.layer1"),
    ("distill --student resnet8 --teacher {run} --data digits --terms CE CE", "two terms are called"),
    ("distill --student resnet8 --teacher {run} --data digits --terms warmpu(1,2)*KD", "did you mean warmup"),
    ("rocket --light wrn-16-2 --booster wrn-40-1 --data digits", "light net does not fit in booster: block1.0.conv1"),
    ("rocket --light wrn-10-1 --booster wrn-16-1 --hint 2*KD --data digits", "the hint's weight is --gamma"),
    ("rocket --light wrn-10-1 --booster wrn-16-1 --share botom --data digits", "botom"),
    ("mutual --networks resnet8 --data digits", "two networks or more"),
    ("two-stage --student resnet8 --teacher {run} --data digits --first KDD", "did you mean KD"),
    ("factor-transfer --student resnet8 --teacher {run} --data digits --on layr3", "nearest: student.layer3"),
    ("moonshine --teacher {run} --conv DConvX --data digits", "DConvX"),
    ("table rocket-tabel1", "did you mean rocket-table1"),
    ("report {tmp}/nowhere", "nowhere"),
    ("evaluate --network resnet8 --data digits", "give --weights FILE, or a run folder"),
    ("evaluate --network {hundred} --data digits", "100 classes"),
    ("describe resnet8 --inputs 3 32 32", "did you mean --input"),
    ("list loses", "losses"),
    ("distil --student resnet8", "did you mean distill"),
    ("run", "needs a file"),
    ("run {tmp}/none.py", "none.py"),
]


@pytest.mark.parametrize(("line", "message"), BAD, ids=[line for line, _ in BAD])
def test_bad_input_is_one_clear_line_and_exit_code_2(line, message, tmp_path, run, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bad_files(tmp_path, run)
    hundred = tmp_path / "hundred"
    hundred.mkdir()
    network = potstill.networks.create("resnet8", classes=100)
    save_file(network.state_dict(), hundred / "student.safetensors")
    (hundred / "config.json").write_text(json.dumps({"networks": {"student": {"spec": "resnet8", "classes": 100}}}))
    words = line.format(tmp=tmp_path, run=run, hundred=hundred).split()
    before = sorted(tmp_path.rglob("*"))
    assert main([word.replace("_on_", " on ") for word in words]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    complaint = captured.err.splitlines()[-1]
    assert complaint.startswith("potstill: ")
    assert message in complaint
    assert "Traceback" not in captured.err
    assert sorted(tmp_path.rglob("*")) == before, "something was half-written"


def test_failing_while_training_is_exit_code_3(tmp_path, capsys):
    words = f"supervised --network resnet8 {RUN} --lr 1e30 --out {tmp_path}/run".split()
    assert main([*words, "--epochs", "3"]) == 3
    assert "'CE student' is not finite at step" in capsys.readouterr().err
