"""What a run folder refuses, and that nothing in one leads out of it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from potstill.errors import BadInput
from potstill.runs import manifest
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


def test_a_folder_with_nothing_but_a_manifest_is_a_run_that_was_killed_at_its_start(tmp_path):
    manifest.begin(tmp_path)
    with RunFolder(tmp_path, CONFIGURED) as run:
        assert run.summary() is None
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "manifest.json").write_text('{"name": "a web page"}')
    with pytest.raises(BadInput, match="is not empty and holds no run"):
        RunFolder(tmp_path / "other", CONFIGURED)


def test_who_takes_a_run_up_records_its_code_as_it_is_now_and_says_so(tmp_path, capsys):
    for name in ("net.py", "blocks.py"):
        (tmp_path / name).write_text("import blocks\n")
    network = {"spec": f"{tmp_path}/net.py:net", "source": f"{tmp_path}/net.py", "classes": 10}
    config = {**CONFIGURED, "networks": {"net": network}}
    with RunFolder(tmp_path / "run", config):
        pass
    for name in ("net.py", "blocks.py"):
        (tmp_path / name).write_text("import blocks\n# edited\n")
    capsys.readouterr()
    with RunFolder(tmp_path / "run", {**config, "networks": {"net": {**network, "input": None}}}):
        pass
    said = capsys.readouterr().err
    assert f"source/1/blocks.py, source/1/net.py of {tmp_path}/run was edited since: the run goes on" in said
    assert (tmp_path / "run" / "source" / "1" / "net.py").read_text() == "import blocks\n# edited\n"
    assert "input" in json.loads((tmp_path / "run" / "config.json").read_text())["networks"]["net"]


@pytest.mark.parametrize("finished", [False, True])
def test_damaged_weights_are_said_of_a_run_that_goes_on(tmp_path, capsys, finished):
    with RunFolder(tmp_path / "run", CONFIGURED) as run:
        run.write({"net.safetensors": b"whole", **({SUMMARY: b"{}"} if finished else {})})
    (tmp_path / "run" / "net.safetensors").write_bytes(b"wrong")
    with RunFolder(tmp_path / "run", CONFIGURED):
        said = capsys.readouterr().err
    assert ("net.safetensors is damaged" in said) is not finished
