"""What a run folder refuses, and that nothing in one leads out of it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from potstill.errors import BadInput
from potstill.runs.folder import RunFolder
from potstill.runs.names import CHECKPOINT, CONFIG, METRICS, SUMMARY
from potstill.runs.recorded import read_run
from potstill.whole_file import write_whole

CONFIGURED = {
    **{"recipe": "fit", "arguments": {"lr": 0.1, "seed": 0}, "versions": {}, "device": "cpu"},
    **{"networks": {"net": {"spec": "resnet8", "classes": 10}}, "teachers": {}, "commit": None, "threads": 1},
}
EPOCH = {
    **{"epoch": 0, "lr": 0.1, "terms": {"CE": 1.0}, "weights": {"CE": 1.0}, "images_per_second": 1.0, "seconds": 1.0},
    "learners": {"net": {"test": {"top1": 50.0}}},
}


def test_what_is_written_is_read_back(tmp_path):
    with RunFolder(tmp_path / "run", CONFIGURED) as run:
        assert run.summary() is None
        run.start_logs([EPOCH])
        run.log({**EPOCH, "epoch": 1})
    read = read_run(tmp_path / "run")
    assert read.config == CONFIGURED
    assert [record["epoch"] for record in read.history] == [0, 1]
    with RunFolder(tmp_path / "run", CONFIGURED) as run:
        run.start_logs([EPOCH])
        reached = {"epoch": 0, "test": {"top1": 50.0}}
        learners = {"net": {"last": reached, "best": reached}}
        summary = {"data": "x", "epochs": 1, "seconds": 1.0, "best_chosen_on": "test", "teachers": {}}
        run.finish({**summary, "learners": learners})
        assert run.summary() == {**summary, "learners": learners}
    assert len(read_run(tmp_path / "run").history) == 1


def test_what_is_refused(tmp_path):
    with RunFolder(tmp_path / "run", CONFIGURED):
        pass
    changed = {**CONFIGURED, "arguments": {"lr": 0.2, "seed": 0}}
    with pytest.raises(BadInput, match=r"another run: --lr was 0.1 there and is 0.2 now; choose another --out$"):
        RunFolder(tmp_path / "run", changed)
    with pytest.raises(BadInput, match=r"is not empty and holds no run; choose another folder$"):
        RunFolder(tmp_path, CONFIGURED)
    with pytest.raises(BadInput, match=r"is a file, not a folder$"):
        RunFolder(tmp_path / "run" / CONFIG, CONFIGURED)
    (tmp_path / "run" / CONFIG).write_text("{")
    with pytest.raises(BadInput, match=r"config\.json is damaged: "):
        RunFolder(tmp_path / "run", CONFIGURED)


def test_a_stage_of_this_run_is_not_foreign(tmp_path):
    with RunFolder(tmp_path / "run" / "hint", {**CONFIGURED, "arguments": {"stage": "hint"}}):
        pass
    with RunFolder(tmp_path / "run", CONFIGURED):
        pass
    assert (tmp_path / "run" / CONFIG).is_file()


def test_another_machine_is_the_same_run(tmp_path):
    for device in ("cpu", "auto"):
        with RunFolder(tmp_path / "run", {**CONFIGURED, "arguments": {"lr": 0.1, "seed": 0, "device": device}}):
            pass


def test_nothing_that_is_written_follows_a_link(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    folder = tmp_path / "run"
    folder.mkdir()
    for name in (CONFIG, METRICS, SUMMARY, CHECKPOINT, ".holder.json"):
        (folder / f".{name}.draft").symlink_to(victim)
        (folder / f".{name}.00000000.draft").symlink_to(victim)
    for name in (METRICS, CHECKPOINT, ".holder.json"):
        (folder / name).symlink_to(victim)
    (folder / CONFIG).write_text(json.dumps(CONFIGURED))
    with RunFolder(folder, CONFIGURED) as run:
        run.start_logs([])
        run.log(EPOCH)
        write_whole(run.checkpoint, b"state")
        run.finish({})
    assert victim.read_text() == "precious"
    assert not run.checkpoint.is_symlink()


def test_what_a_killed_process_left_is_cleared_away(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / ".last.ckpt.0a1b2c3d.draft").write_bytes(b"half")
    (folder / "mine.draft").write_bytes(b"mine")
    (folder / CONFIG).write_text(json.dumps(CONFIGURED))
    with RunFolder(folder, CONFIGURED):
        pass
    assert not (folder / ".last.ckpt.0a1b2c3d.draft").exists()
    assert (folder / "mine.draft").exists()


def test_no_module_of_the_package_needs_torch():
    source = Path(sys.modules["potstill.runs"].__file__).parent
    modules = [f"potstill.runs.{file.stem}" for file in source.glob("*.py") if file.stem != "__init__"]
    assert len(modules) >= 10
    code = f"import sys, {', '.join(modules)}; assert not {{'torch', 'numpy'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
