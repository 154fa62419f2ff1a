"""What ``potstill verify`` finds, in run folders and in folders of them."""

import json
import shutil
from pathlib import Path

import pytest
from sealing import unseal

import potstill as ps
from potstill.cli import main
from potstill.commands import verify
from potstill.errors import BadInput


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    small = {"data": "digits", "images": 40, "test_images": 10, "batch_size": 20, "device": "cpu"}
    for seed in (0, 1):
        out = folder / "row" / f"seed-{seed}"
        ps.recipes.supervised(network="resnet8", training=ps.Training(epochs=2, seed=seed, out=out, **small))
    return folder


@pytest.fixture
def table(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "table"))


def test_sound_folders(table, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    assert main(["verify", str(table)]) == 0
    assert capsys.readouterr().out.count("files  sound") == 2
    assert main(["verify", "--json", str(table / "row" / "seed-0")]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["wrong"] == 0
    assert [*result["checked"][0]] == [str(table / "row" / "seed-0")]


def rewrite(name, text):
    return lambda run: (run / name).write_text(text)


def remove(name):
    return lambda run: (run / name).unlink()


def edit_summary(run):
    file = run / "summary.json"
    file.write_text(file.read_text().replace('"n": 10', '"n": 11'))


def shorten(run):
    file = run / "student.safetensors"
    file.write_bytes(file.read_bytes()[:-1])


def truncate_weights_of_an_earlier_version(run):
    unseal(run)
    shorten(run)


def disagree_in_an_earlier_version(run):
    unseal(run)
    lines = (run / "metrics.jsonl").read_text().splitlines(keepends=True)
    (run / "metrics.jsonl").write_text(lines[0])


def add_weights(run):
    shutil.copy(run / "student.safetensors", run / "other.safetensors")


def add_source(run):
    (run / "source").mkdir()
    (run / "source" / "net.py").write_text("")


WRONG = {
    "edited": (edit_summary, "summary.json", "was edited"),
    "damaged": (shorten, "student.safetensors", "is damaged: it has "),
    "missing": (remove("student-best.safetensors"), "student-best.safetensors", "is missing"),
    "no summary": (remove("summary.json"), "summary.json", "is missing"),
    "no config": (remove("config.json"), "config.json", "is missing"),
    "no manifest": (remove("manifest.json"), "config.json", "manifest.json is missing"),
    "no JSON": (rewrite("manifest.json", "{"), "manifest.json", "is damaged"),
    "another checkpoint": (rewrite("last.ckpt", "x"), "last.ckpt", "is damaged: it has 1 bytes"),
    "weights that are not the run's": (add_weights, "other.safetensors", "does not list it"),
    "source that is not the run's": (add_source, "source/net.py", "does not list it"),
    "weights of an earlier version": (truncate_weights_of_an_earlier_version, "student.safetensors", "is damaged"),
    "an earlier version that disagrees": (disagree_in_an_earlier_version, "summary.json", "metrics.jsonl has 1 epochs"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_named_with_its_file(table, name, capsys):
    damage, file, words = WRONG[name]
    run = table / "row" / "seed-1"
    damage(run)
    assert main(["verify", "--json", str(table)]) == 2
    captured = capsys.readouterr()
    checked = json.loads(captured.out)["checked"][0]
    assert checked[str(table / "row" / "seed-0")]["problems"] == {}
    assert words in checked[str(run)]["problems"][file]
    assert str(table) not in checked[str(run)]["problems"][file]
    assert "potstill: " in captured.err


def test_an_earlier_versions_run_is_not_wrong(table, capsys):
    unseal(table)
    assert main(["verify", "--json", str(table)]) == 0
    assert capsys.readouterr().out.count("made by an earlier version, its files cannot be verified") == 2


def test_checkpoints_of_a_finished_run_need_not_be_there(table):
    for name in ("last.ckpt", "previous.ckpt"):
        (table / "row" / "seed-0" / name).unlink()
    assert verify((table,))["wrong"] == 0


def test_an_unfinished_run_is_sound(table):
    run = table / "row" / "seed-0"
    unseal(run)
    (run / "summary.json").unlink()
    (run / "insight.json").unlink()
    assert verify((run,))["table"][0]["found"].endswith("unfinished")


def test_what_is_no_folder(table):
    for folders, words in {(): "needs a folder", (table / "nothing",): "no folder"}.items():
        with pytest.raises(BadInput, match=words):
            verify(folders)
    (table / "empty").mkdir()
    with pytest.raises(BadInput, match="no run folder in"):
        verify((table / "empty",))
