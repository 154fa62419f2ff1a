"""B3: a kill between any two file operations leaves a folder sound, and damage never looks so."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from potstill import whole_file
from potstill.errors import BadInput
from potstill.runs import manifest
from potstill.runs.digests import state_of_bytes
from potstill.runs.folder import RunFolder

CONFIG = {
    **{"format": 2, "recipe": "fit", "arguments": {"lr": 0.1}, "versions": {}, "device": "cpu"},
    "networks": {"net": {"spec": "resnet8", "classes": 10}},
}


def states(folder: Path) -> dict[str, bytes | None]:
    return {name: (folder / name).read_bytes() for name in ("last.ckpt", "previous.ckpt", "a.safetensors")}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    manifest.begin(tmp_path)
    for epoch in (b"0", b"1"):
        files = {"a.safetensors": b"a" + epoch, "last.ckpt": b"state" + epoch}
        manifest.write(tmp_path, files, keep={"last.ckpt": "previous.ckpt"})
    return tmp_path


@pytest.mark.parametrize("what", ["write", "start"])
def test_a_kill_at_every_file_operation_leaves_a_sound_folder(what, tmp_path):
    # In a process without torch, which forks in no time.
    command = [sys.executable, str(Path(__file__).with_name("killing.py")), what, str(tmp_path)]
    kills = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert int(kills) > 25


def test_what_is_removed_is_not_listed(folder):
    manifest.write(folder, {"a.safetensors": None})
    assert not (folder / "a.safetensors").exists()
    assert "a.safetensors" not in manifest.read(folder)["files"]
    manifest.write(folder, {"never.json": None})
    manifest.verify_all(folder)


def test_who_reads_while_a_run_writes_sees_no_damage(folder):
    if (child := os.fork()) == 0:
        for number in range(150):
            manifest.write(folder, {"a.safetensors": b"%d" % number}, keep={})
        os._exit(0)
    reads = 0
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        manifest.verify(folder / "a.safetensors")
        assert manifest.content_of(folder, "a.safetensors")
        reads += 1
    assert reads > 20


def test_a_disk_that_gives_back_other_bytes_loses_nothing(folder, monkeypatch):
    def flip(file, content):  # as a failing disk does it, between writing and reading back
        file.write_bytes(bytes([content[0] ^ 1]) + content[1:])
        hold(file, content)

    hold = whole_file._must_hold
    before = states(folder)
    monkeypatch.setattr(whole_file, "_must_hold", flip)
    with pytest.raises(OSError, match="other bytes than were written"):
        manifest.write(folder, {"last.ckpt": b"state2"}, keep={"last.ckpt": "previous.ckpt"})
    assert states(folder) == before
    manifest.verify_all(folder)


@pytest.mark.parametrize("error", [errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK])
def test_without_hard_links_the_previous_checkpoint_is_a_copy(folder, monkeypatch, error):
    def link(*_, **__):
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(os, "link", link)
    manifest.write(folder, {"last.ckpt": b"state2"}, keep={"last.ckpt": "previous.ckpt"})
    assert (folder / "previous.ckpt").read_bytes() == b"state1"
    manifest.verify_all(folder)


@pytest.mark.parametrize(
    "text",
    [
        *(b"", b"{}", b"[]", b"null", b"{", b"\xff\xfe", b"[" * 100_000),
        *(b'{"files": [], "digest": ""}', b'{"files": {"a": [1]}, "digest": ""}', b'{"files": {}, "digest": "0"}'),
        b'{"files": {"a": [{"sha256": 3, "bytes": 1}]}, "digest": "0"}',
    ],
    ids=range(11),
)
def test_a_manifest_of_any_other_shape_is_damaged(folder, text):
    (folder / "manifest.json").write_bytes(text)
    with pytest.raises(BadInput, match=r"manifest\.json is damaged: [^\n]+$"):
        manifest.verify(folder / "last.ckpt")


def test_a_state_is_size_and_digest():
    assert state_of_bytes(b"abc") == {
        "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "bytes": 3,
    }


# A3: what is written follows no link, whichever file or folder of a run it lies in the place of.
@pytest.mark.parametrize(
    "name",
    ["config.json", "metrics.jsonl", "summary.json", "insight.json", "last.ckpt", "previous.ckpt", "net.safetensors"],
)
def test_writing_follows_no_link(tmp_path, name):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    with RunFolder(tmp_path / "run", dict(CONFIG)) as run:
        (run.path / name).unlink(missing_ok=True)
        (run.path / name).symlink_to(victim)
        run.write({name: b"new"}, keep={"last.ckpt": "previous.ckpt"})
        run.write({name: b"newer"}, keep={"last.ckpt": "previous.ckpt"})
        assert (run.path / name).read_bytes() == b"newer"
    assert victim.read_text() == "precious"


def test_nor_does_a_folder_in_it_lead_away(tmp_path):
    victim = tmp_path / "victim"
    victim.mkdir()
    with RunFolder(tmp_path / "run", dict(CONFIG)) as run:
        (run.path / "source").symlink_to(victim)
        with pytest.raises(BadInput, match="source is a link that leads out of the run folder"):
            run.write({"source/1/net.py": b"new"})
        (run.path / "hint").symlink_to(victim)
        with pytest.raises(BadInput, match="hint is a link that leads out of the run folder"):
            RunFolder(run.path / "hint", {**CONFIG, "arguments": {"stage": "hint"}})
    assert list(victim.iterdir()) == []


@pytest.mark.parametrize("name", [".lock", ".holder.json"])
def test_nor_do_the_files_of_the_lock(tmp_path, name):
    victim, folder = tmp_path / "victim", tmp_path / "run"
    victim.write_text("precious")
    folder.mkdir()
    (folder / name).symlink_to(victim)
    try:
        with RunFolder(folder, dict(CONFIG)):
            pass
    except BadInput as error:
        assert ".lock is not the lock of a run" in str(error)  # noqa: PT017 - one of the two is refused
    assert victim.read_text() == "precious"


def test_nor_does_the_log_of_a_tables_run(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "seed-0.log").symlink_to(victim)
    with pytest.raises(OSError, match="symbolic links"):
        whole_file.open_to_append(tmp_path / "seed-0.log")
    with whole_file.open_to_append(tmp_path / "seed-1.log") as log:
        log.write(b"a")
    with whole_file.open_to_append(tmp_path / "seed-1.log") as log:
        log.write(b"b")
    assert (tmp_path / "seed-1.log").read_bytes() == b"ab"


def test_after_a_kill_each_file_settles_on_the_state_that_it_is_in(tmp_path):
    old, new, other = (state_of_bytes(content) for content in (b"old", b"new", b"other"))
    for name, content in {"begun": b"old", "done": b"new", "edited": b"other", "at rest": b"other"}.items():
        (tmp_path / name).write_bytes(content)
    files = {"begun": [old, new], "done": [old, new], "edited": [old, new], "at rest": [old]}
    manifest.save(tmp_path, {"files": files})
    manifest.settle(tmp_path)
    found = manifest.read(tmp_path)["files"]
    assert found == {"begun": [old], "done": [new], "edited": [old, new], "at rest": [old]}
    assert other not in found["at rest"]


def test_what_comes_after_a_removed_file_is_written_too(folder):
    manifest.write(folder, {"a.safetensors": None, "b.safetensors": b"b"})
    assert not (folder / "a.safetensors").exists()
    assert (folder / "b.safetensors").read_bytes() == b"b"


def test_a_file_of_another_length_is_told_from_all_that_it_may_be():
    states = [{"bytes": size, "sha256": "0" * 64} for size in (1200, 7)]
    listed = {"files": {"a": [states[0]], "b": states, "c": [None]}}
    found = {"bytes": 3, "sha256": "1" * 64}
    assert [manifest.complaint(listed, name, found) for name in "abc"] == [
        "is damaged: it has 3 bytes, not 1,200",
        "is damaged: it has 3 bytes, not 1,200 or 7",
        "is damaged: it has 3 bytes, not none",
    ]
