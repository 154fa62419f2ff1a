"""Runs side by side end with the bits of runs that are alone, with one teacher pass a step for all of them."""

import io
import json
import random
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from drawn import drawn
from safetensors.torch import load_file

import potstill as ps
from potstill.cli import main
from potstill.engine.checkpoint import load_checkpoint
from potstill.side_by_side import shared_passes
from potstill.side_by_side.__main__ import run
from potstill.side_by_side.turns import Turns, pass_on

SMALL = "--data digits --images 192 --test-images 40 --batch-size 64 --epochs 2 --device cpu --seed 3"
ROWS = {
    "kd": "distill --student resnet8 --terms CE KD",
    "at": "distill --student wrn-10-1 --terms CE '100 * AT on stages'",
    "crd": "distill --student resnet8 --terms CE CRD(negatives=16)",
    "staged": "two-stage --student resnet8 --first-epochs 1",
    "alone": "supervised --network resnet8",
}


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    folder = tmp_path_factory.mktemp("teacher") / "run"
    training = ps.Training("digits", images=192, test_images=40, batch_size=64, epochs=1, device="cpu", out=folder)
    ps.recipes.supervised(network="resnet14", training=training)
    return folder


def words(row: str, teacher: Path, out: Path, more: str = "") -> list[str]:
    given = shlex.split(f"{ROWS[row]} {SMALL} {more}")
    if given[0] != "supervised":
        given += ["--teacher", str(teacher)]
    return [*given, "--out", str(out)]


def parts(rows, teacher, folder, more=""):
    return [{"words": words(row, teacher, folder / row, more), "log": str(folder / f"{row}.log")} for row in rows]


def ends(run_folder: Path) -> dict[str, torch.Tensor]:
    """The last weights of a run, and the state of its random numbers."""
    name = "network" if (run_folder / "network.safetensors").exists() else "student"
    random_state = load_checkpoint(run_folder / "last.ckpt", torch.device("cpu"))["random"]["torch"]
    return {**load_file(run_folder / f"{name}.safetensors"), "random": random_state}


def same(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


@pytest.fixture(scope="module")
def alone(teacher, tmp_path_factory):
    """The ends of each run when it is alone in its process."""
    folder = tmp_path_factory.mktemp("alone")
    for row in ROWS:
        assert main(words(row, teacher, folder / row)) == 0
    return {row: ends(folder / row) for row in ROWS}


def test_the_same_bits_with_one_teacher_pass_for_all(teacher, alone, tmp_path, monkeypatch):
    passes = []
    answer = shared_passes.SharedPass._answer

    def counted(self, one, images):
        before = self.runs
        found = answer(self, one, images)
        passes.append(self.runs - before)
        return found

    monkeypatch.setattr(shared_passes.SharedPass, "_answer", counted)
    assert run(parts(ROWS, teacher, tmp_path)) == [0] * len(ROWS)
    for row in ROWS:
        assert same(ends(tmp_path / row), alone[row]), row
    assert "epoch   1" in (tmp_path / "kd.log").read_text()
    # Three steps in each of two epochs, for kd, at and crd; the other one has hints in an epoch of its own.
    assert len(passes) == 3 * 6 + 3
    assert sum(passes) == 6


def test_one_that_fails_leaves_the_others_alone(teacher, alone, tmp_path):
    three = parts(["kd", "at", "crd"], teacher, tmp_path)
    three[1]["words"] += ["--lr", "1e30"]
    three.insert(0, {"words": ["distill", "--studnet", "resnet8"], "log": str(tmp_path / "typo.log")})
    assert run(three) == [2, 0, 3, 0]
    assert same(ends(tmp_path / "kd"), alone["kd"])
    assert same(ends(tmp_path / "crd"), alone["crd"])
    assert "did you mean --student" in (tmp_path / "typo.log").read_text()
    assert (
        (tmp_path / "at.log").read_text().endswith("is not finite at step 1 of epoch 0; there is no checkpoint yet\n")
    )


@pytest.mark.parametrize("number", drawn([signal.SIGTERM, signal.SIGINT], 1))
def test_a_signal_has_all_of_them_saved_and_they_go_on_to_the_same_bits(teacher, alone, tmp_path, number):
    three = parts(["kd", "at", "crd"], teacher, tmp_path)
    command = [sys.executable, "-m", "potstill.side_by_side", json.dumps(three)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while not (tmp_path / "crd" / "metrics.jsonl").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(number)
        assert process.wait(60) == 128 + number
        assert json.loads(process.stdout.read()) == {"codes": [128 + number] * 3}
    for row in ("kd", "at", "crd"):
        log = (tmp_path / f"{row}.log").read_text()
        assert f"stopped by {signal.Signals(number).name}" in log
        assert "Traceback" not in log
    assert run(three) == [0, 0, 0]
    for row in ("kd", "at", "crd"):
        assert same(ends(tmp_path / row), alone[row]), row


def test_a_run_that_is_behind_catches_up_first(teacher, alone, tmp_path):
    """One of them has finished an epoch before, alone."""
    assert main([*words("kd", teacher, tmp_path / "kd")[:-2], "--epochs", "1", "--out", str(tmp_path / "kd")]) == 0
    two = parts(["kd", "at"], teacher, tmp_path)
    two[0]["words"].append("--extend")
    assert run(two) == [0, 0]
    assert same(ends(tmp_path / "at"), alone["at"])


def test_turns_go_to_whoever_is_behind_and_keep_each_ones_random_numbers_and_streams(capsys):
    order, drawn = [], {}

    def function(name, start, steps):
        def whole():
            torch.manual_seed(len(name))
            np.random.seed(len(name))
            random.seed(len(name))
            for step in range(start, start + steps):
                pass_on((0, step))
                order.append(f"{name}{step}")
                numbers = float(torch.rand(())), float(np.random.rand()), random.random()
                drawn.setdefault(name, []).append(numbers)
                print(name)
            return steps

        return whole

    streams = {"a": io.StringIO(), "bb": io.StringIO()}
    before = torch.get_rng_state()
    assert Turns({"a": function("a", 2, 2), "bb": function("bb", 0, 4)}, streams).run() == {"a": 2, "bb": 4}
    assert order == ["bb0", "bb1", "a2", "bb2", "a3", "bb3"]
    assert torch.equal(torch.get_rng_state(), before)
    for name, start, steps in (("a", 2, 2), ("bb", 0, 4)):
        together, order[:] = drawn.pop(name), []
        function(name, start, steps)()
        assert drawn[name] == together
        assert streams[name].getvalue() == f"{name}\n" * steps
