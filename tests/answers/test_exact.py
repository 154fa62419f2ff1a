"""A run's weights are the same bits, whatever of its teacher's answers was kept before, by whomever."""

import errno
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from drawn import by_hand
from torch import nn

import potstill as ps
from potstill.answers.carrying import described, pack
from potstill.answers.entries import Entries
from potstill.answers.proof import Proof
from potstill.engine.checkpoint import fingerprint
from potstill.errors import BadInput
from potstill.losses import AT, CE, KD, FitNet
from potstill.training import Training

SHORT = Training(data="digits", epochs=6, batch_size=64, lr=0.05, images=400, test_images=100)


class Rowwise(nn.Module):
    """A teacher without a matrix product, which some processors round by the place in a small batch."""

    def forward(self, images):
        return images.mean((2, 3))


def train(out, training=SHORT, terms=None, teacher=None, **seams):
    """The digest of a student's weights."""
    training = replace(training, out=out)
    data = training.load_data()
    networks = {
        "student": ps.networks.create("resnet8", len(data.classes), seed=training.seed),
        "teacher": ps.freeze(teacher or ps.networks.create("resnet14", len(data.classes), seed=5)),
    }
    own = terms or [
        ps.Term(CE(), "student", "labels"),
        ps.Term(KD(), "student", "teacher"),
        ps.Term(FitNet(), "student.pooled", "teacher.pooled"),
    ]
    distiller = ps.Distiller(networks, own, example=data.example(), seed=training.seed)
    ps.fit(distiller, data, training, **seams)
    return fingerprint(distiller.networks["student"])


@pytest.fixture(scope="module")
def without(tmp_path_factory):
    return train(tmp_path_factory.mktemp("without") / "run", replace(SHORT, teacher_cache="off"))


def shares(said):
    """Of how many of its teacher's answers each run said that they were kept ones, in percent."""
    return [int(number) for number in re.findall(r"teacher: (\d+) % of its answers were kept", said)]


def test_cold_then_warm_then_another_seed(tmp_path, without, capsys):
    cached = replace(SHORT, teacher_cache=str(tmp_path / "answers"))
    assert [train(tmp_path / f"run{number}", cached) for number in range(2)] == [without] * 2
    cold, warm = shares(capsys.readouterr().err)
    assert 10 < cold < warm == 100  # 9 views in 6 epochs: some come again
    other = replace(cached, seed=1)
    assert train(tmp_path / "other", other) == train(tmp_path / "off", replace(other, teacher_cache="off"))
    assert cold < shares(capsys.readouterr().err)[0] < 100


@pytest.mark.parametrize("damage", ["bits", "cut", "halves"])
def test_damaged_entries_are_asked_for_again(damage, tmp_path, without, capsys):
    cached = replace(SHORT, teacher_cache=str(tmp_path / "answers"))
    train(tmp_path / "run", cached)
    for file in (tmp_path / "answers").glob("*.answers"):
        content = np.fromfile(file, np.uint8)
        if damage == "bits":
            content[np.random.default_rng(0).integers(len(content), size=len(content) // 50)] ^= 4
        elif damage == "cut":
            content = content[: len(content) // 2 + 5]
        else:  # as of writers that were killed: the first or the second half of some entries
            content[len(content) // 2 :: 7] = 0
        content.tofile(file)
    capsys.readouterr()
    assert train(tmp_path / "again", cached) == without
    assert 0 < shares(capsys.readouterr().err)[0] < 100


def test_a_full_disk_ends_the_keeping_and_not_the_training(tmp_path, without, capsys, monkeypatch):
    folder, real = tmp_path / "answers", os.pwrite
    left = [150]

    def full(file, content, at):
        left[0] -= 1
        if left[0] == 0:
            return real(file, content[:10], at)
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(file, content, at)

    monkeypatch.setattr(os, "pwrite", full)
    assert train(tmp_path / "run", replace(SHORT, teacher_cache=str(folder))) == without
    said = capsys.readouterr().err
    assert said.count(f"no more answers of teacher are kept in {folder}, and training goes on: No space left") == 1
    monkeypatch.undo()
    assert train(tmp_path / "again", replace(SHORT, teacher_cache=str(folder))) == without


WRITER = """
import sys
from pathlib import Path
import torch
sys.path[:0] = sys.argv[1], str(Path(sys.argv[1]).parent)
torch.set_num_threads(1)
import test_exact as here
from dataclasses import replace
print(here.train(Path(sys.argv[2]), replace(here.SHORT, teacher_cache=sys.argv[3])))
"""


@by_hand
def test_two_writers_one_of_them_killed(tmp_path, without):
    folder = tmp_path / "answers"

    def start(name):
        command = [sys.executable, "-c", WRITER, str(Path(__file__).parent), str(tmp_path / name), str(folder)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    one, other = start("one"), start("other")
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not any(np.fromfile(f, np.uint8).any() for f in folder.glob("*.answers")):
        time.sleep(0.02)
    other.send_signal(signal.SIGKILL)
    assert one.communicate(timeout=120)[0].strip() == without
    other.communicate(timeout=120)
    again = start("other")  # resumes what was killed, in the cache that it left
    assert again.communicate(timeout=120)[0].strip() == without


def test_image_files_in_fixed_views(picture_folder, tmp_path, capsys):
    some = Training(data=str(picture_folder), image_size=16, epochs=8, batch_size=5, lr=0.01, views=2, workers=0)
    cached = replace(some, teacher_cache=str(tmp_path / "answers"))
    ways = {"off": replace(some, teacher_cache="off"), "cold": cached, "warm": cached}
    terms = [ps.Term(CE(), "student", "labels"), ps.Term(KD(), "student", "teacher")]
    assert len({train(tmp_path / name, way, terms, Rowwise()) for name, way in ways.items()}) == 1
    cold, warm = shares(capsys.readouterr().err)
    assert cold < warm == 100
    views = {int(v) for epoch in range(30) for b in some.load_data().train.batches(epoch) for v in b["view"]}
    assert len(views) == 2 * 12


def test_views_of_a_small_set_are_fixed_whatever_the_seed(tmp_path, capsys):
    few = replace(SHORT, views=2, teacher_cache=str(tmp_path / "answers"))
    assert train(tmp_path / "run", few) == train(tmp_path / "off", replace(few, teacher_cache="off"))
    assert shares(capsys.readouterr().err)[0] > 50
    seen = set()
    for training in (few, replace(few, seed=3)):
        for epoch in range(8):
            for batch in training.load_data().train.batches(epoch):
                seen |= set(zip(batch["index"].tolist(), batch["view"].tolist(), strict=True))
    counts = Counter(index for index, _ in seen)
    assert len(counts) >= 400
    assert max(counts.values()) == 2


def test_what_is_no_plain_answer_is_not_kept(tmp_path, capsys):
    few = replace(SHORT, epochs=1, teacher_cache=str(tmp_path / "answers"))
    train(tmp_path / "mixed", few, transforms=[lambda batch: batch])
    train(tmp_path / "maps", few, [ps.Term(AT(), "student.stage3", "teacher.stage3")])
    said = capsys.readouterr().err
    assert "answers of teacher are not kept: transforms change the images of a view" in said
    assert "answers of teacher are not kept: teacher.stage3 is no row of numbers for each image" in said
    train(tmp_path / "quiet", replace(few, teacher_cache="auto"))
    assert "kept" not in capsys.readouterr().err


def test_packed_answers_travel_and_others_are_refused(tmp_path, without, capsys, user_cache):
    kd = [ps.Term(KD(), "student", "teacher")]
    train(tmp_path / "run", replace(SHORT, teacher_cache=str(tmp_path / "answers")), kd)
    (answers,) = (tmp_path / "answers").glob("*.answers")
    file = tmp_path / "teacher.safetensors"
    assert 400 < pack(answers, file) < 2400
    capsys.readouterr()
    train(tmp_path / "elsewhere", replace(SHORT, teacher_cache=str(file)), kd)
    assert shares(capsys.readouterr().err) == [100]
    with pytest.raises(BadInput, match="another teacher, data or arithmetic: precision was 'fp32' there and is 'bf16'"):
        train(tmp_path / "bf16", replace(SHORT, teacher_cache=str(file), precision="bf16"), kd)
    train(tmp_path / "other", replace(SHORT, epochs=1, teacher_cache=str(tmp_path / "answers"), normalize="rocket"), kd)
    assert "answers of another teacher, data or arithmetic, which are not used: " in capsys.readouterr().err


def test_a_cache_that_does_not_fit_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(BadInput, match=r"teacher's answers take up to 5.6 MiB, and 0.0 MiB are free at .*answers"):
        train(tmp_path / "run", replace(SHORT, teacher_cache=str(tmp_path / "answers")))
    train(tmp_path / "auto", replace(SHORT, epochs=1, teacher_cache=f"auto:{tmp_path}/answers"))
    assert "are free at" in capsys.readouterr().err


def test_scattered_answers_take_no_more_of_the_disk_than_was_said(tmp_path):
    slots = np.random.Generator(np.random.PCG64(0)).choice(100_000, 50, replace=False)
    entries = Entries(tmp_path / "answers", 100_000, width=40)
    entries.write(slots, slots, np.zeros((50, 40), np.uint8))
    entries.close()
    taken = (tmp_path / "answers").stat().st_blocks * 512
    assert 50 * entries.bytes < taken <= Entries.on_disk(100_000, 40, 50, os.statvfs(tmp_path).f_frsize)


def test_a_part_of_a_batch_runs_only_where_its_bits_are_those_of_the_whole():
    def answer(images):  # in small batches, as some processors do, other bits
        return {"teacher": images[:, 0, 0, :4] + 1e-6 * (len(images) < 20)}

    proof = Proof(answer, torch.zeros(64, 3, 8, 8), 64)
    assert set(proof.found) == {64}  # the others are tried once they are asked about
    assert [proof.part_for(images) for images in (1, 5, 24, 25, 64)] == [24, 24, 24, 32, None]
    assert proof.found == {64: True, 8: False, 16: False, 24: True, 32: True}
    assert not proof.holds(3)


def test_what_changes_of_kept_answers_is_found_out(tmp_path, capsys):
    cached = replace(SHORT, teacher_cache=str(tmp_path / "answers"))
    train(tmp_path / "run", replace(cached, epochs=3))
    for file in (tmp_path / "answers").glob("*.answers"):  # answers of others, with checksums that fit
        _, slots, width = described(file)
        entries = Entries(file, slots, width)
        filled = entries.filled()
        entries.write(filled, entries.views(filled), np.full((len(filled), width), 7, np.uint8))
        entries.close()
    train(tmp_path / "other", replace(cached, seed=1))
    assert "kept answers of teacher are not what it answers now: they are not used any more" in capsys.readouterr().err
