"""B3: a flipped bit in any file of a run folder is noticed by whatever reads that file."""

import os
import random
from pathlib import Path

import pytest
import torch

from potstill.engine.checkpoint import load_checkpoint, load_newest
from potstill.errors import BadInput
from potstill.export.run_network import choose_network
from potstill.networks import create, load_weights
from potstill.report.rows import found_rows
from potstill.runs.audit import audit
from potstill.runs.folder import RunFolder
from potstill.runs.reading import read_config
from potstill.runs.trust import located

CPU = torch.device("cpu")
BITS = int(os.environ.get("POTSTILL_BITS", "2"))
"""How many bits of each file are flipped, drawn by a seed; 50 take half a minute."""


def evaluate(run: Path) -> None:  # and `describe`, and `distill --teacher`
    create(str(run))


def evaluate_weights(run: Path) -> None:
    load_weights(create(str(run)), run / "student.safetensors")


def export_best(run: Path) -> None:
    chosen = choose_network(str(run), best=True)
    chosen.summary()
    create(str(chosen.identity["spec"]), chosen.classes, weights=chosen.weights)


def report(run: Path) -> None:
    _, left_out = found_rows([run])
    for folder, reason in left_out.items():
        assert str(run) in folder
        raise BadInput(reason)


def resume_finished(run: Path) -> None:
    located(read_config(run)["networks"]["student"], run)
    with RunFolder(run, read_config(run)) as folder:
        folder.summary()


def checkpoint(run: Path) -> None:
    load_checkpoint(run / "last.ckpt", CPU)


def earlier_checkpoint(run: Path) -> None:
    load_checkpoint(run / "previous.ckpt", CPU)


def verify(run: Path) -> None:
    for words in audit(run, lambda _: None, lambda _: None).problems.values():
        raise BadInput(words)


TEXTS = ("config.json", "manifest.json")
READERS = {
    evaluate: (*TEXTS, "student.safetensors", "source/1/net.py", "source/1/blocks.py", "source/1/lazy.py"),
    evaluate_weights: ("student.safetensors",),
    export_best: (*TEXTS, "summary.json", "student-best.safetensors", "source/1/net.py"),
    report: (*TEXTS, "metrics.jsonl", "summary.json", "insight.json", "details.json"),
    resume_finished: (
        *TEXTS,
        *("metrics.jsonl", "summary.json", "insight.json", "student.safetensors", "student-best.safetensors"),
        *("details.json", "last.ckpt", "previous.ckpt", "source/1/net.py", "source/1/blocks.py"),
    ),
    checkpoint: ("last.ckpt",),
    earlier_checkpoint: ("previous.ckpt",),
}
ALL = sorted({name for names in READERS.values() for name in names})


def test_these_are_all_files_of_a_run(own_run):
    lying = {file.relative_to(own_run).as_posix() for file in own_run.rglob("*") if file.is_file()}
    assert {name for name in lying if not name.startswith((".", "events"))} == {*ALL}


@pytest.mark.parametrize("name", ALL)
def test_a_flipped_bit_is_noticed(own_run, name):
    file = own_run / name
    whole = file.read_bytes()
    draw = random.Random(name)
    readers = [verify, *(reader for reader, names in READERS.items() if name in names)]
    for reader in readers:
        reader(own_run)  # sound
    for _ in range(BITS):
        place, bit = draw.randrange(len(whole)), draw.randrange(8)
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :])
        for reader in readers:
            with pytest.raises(BadInput) as noticed:
                reader(own_run)
            assert file.name in str(noticed.value), (reader, place, bit)
            assert "\n" not in str(noticed.value)
    file.write_bytes(whole)


@pytest.mark.parametrize("name", [name for name in ALL if name not in ("last.ckpt", "previous.ckpt")])
@pytest.mark.parametrize("damage", ["truncated", "empty", "gone", "folder", "pipe"])
def test_so_is_other_damage(own_run, name, damage):
    file = own_run / name
    whole = file.read_bytes()
    file.unlink()
    if damage == "folder":
        file.mkdir()
    elif damage == "pipe":
        os.mkfifo(file)
    elif damage != "gone":
        file.write_bytes(whole[:-1] if damage == "truncated" else b"")
    for reader in [verify, *(reader for reader, names in READERS.items() if name in names)]:
        with pytest.raises(BadInput) as noticed:
            reader(own_run)
        assert "\n" not in str(noticed.value)
        assert file.name in str(noticed.value), reader


@pytest.mark.parametrize("name", ["config.json", "metrics.jsonl", "summary.json"])
def test_an_edited_finished_run_does_not_pass_as_finished(own_run, name):
    file = own_run / name
    file.write_text(file.read_text().replace("0.1", "0.2").replace("top1", "top2"))
    with pytest.raises(BadInput, match=rf"{name} is damaged"):
        resume_finished(own_run)


def test_without_its_manifest_it_is_no_run_of_an_earlier_version(own_run):
    (own_run / "manifest.json").unlink()
    for reader in (evaluate, report, resume_finished):
        with pytest.raises(BadInput, match=r"manifest\.json is missing, without which"):
            reader(own_run)


def test_checkpoints_of_a_finished_run_may_be_removed(own_run):
    for name in ("last.ckpt", "previous.ckpt"):
        (own_run / name).unlink()
    for reader in (evaluate, report, resume_finished, verify):
        reader(own_run)
    with pytest.raises(BadInput, match=r"last\.ckpt is missing.*previous\.ckpt is missing.* to start again$"):
        load_newest(own_run, CPU)


def test_what_is_not_listed_is_not_the_runs(own_run):
    (own_run / "teacher.safetensors").write_bytes((own_run / "student.safetensors").read_bytes())
    with pytest.raises(BadInput, match=r"teacher\.safetensors is not the run's: manifest\.json does not list it"):
        create(f"{own_run}:teacher")
    with pytest.raises(BadInput, match=r"teacher\.safetensors is not the run's"):
        verify(own_run)


def test_a_file_of_ones_own_in_a_run_folder_is_just_a_file(own_run):
    network = create(str(own_run))
    torch.save(network.state_dict(), own_run / "mine.pth")
    load_weights(network, own_run / "mine.pth")


def test_run_of_an_earlier_version_is_read_and_that_is_said_once(own_run, capsys):
    from sealing import unseal

    unseal(own_run)
    report(own_run)
    report(own_run)
    said = f"potstill: {own_run} was made by an earlier version, its files cannot be verified\n"
    assert capsys.readouterr().err == said
