"""A run that is stopped, at any step, by any signal, goes on to the same bits."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from drawn import by_hand

import potstill as ps
from potstill.cli import main
from potstill.engine import epoch as engine_epoch
from potstill.engine.checkpoint import load_checkpoint
from potstill.engine.place import Place
from potstill.engine.state import State
from potstill.engine.train import _saved
from potstill.errors import TrainingFailed

OWN = """
import random
import numpy as np
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader, Dataset
import potstill as ps

class Noisy(Dataset):  # draws from all three kinds of random numbers, as augmentations do
    def __init__(self):
        self.images = torch.randn(30, 3, 4, 4, generator=torch.Generator().manual_seed(1))
        self.labels = torch.arange(30) % 3
    def __len__(self):
        return 30
    def __getitem__(self, i):
        noise = torch.rand(()) + random.random() + np.random.random()
        return (self.images[i] + noise).float(), self.labels[i]

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(48, 8), nn.ReLU(), nn.Dropout(0.5))
        self.fc = nn.Linear(8, 3)
    def forward(self, images):
        return self.fc(self.body(images))

def jitter(batch):
    return {**batch, "images": batch["images"] + 0.1 * torch.randn_like(batch["images"])}

def main(*, processes: int = 0, training: ps.Training = ps.Training()) -> dict:
    train = DataLoader(Noisy(), batch_size=15, shuffle=True, num_workers=processes)
    data = ps.data.from_loaders(train, [(torch.ones(6, 3, 4, 4), torch.arange(6) % 3)], classes=3)
    torch.manual_seed(training.seed), random.seed(training.seed), np.random.seed(training.seed)
    networks = {"student": Net()}
    distiller = ps.Distiller(networks, ps.terms(["CE"], networks), data.example())
    average = AveragedModel(networks["student"])
    after_step = lambda distiller: average.update_parameters(distiller.networks["student"])
    after_step.state_dict, after_step.load_state_dict = average.state_dict, average.load_state_dict
    summary = ps.fit(distiller, data, training, transforms=[jitter], after_step=after_step)
    torch.save(average.state_dict(), training.out / "average.pt")
    return summary
"""
FILES = "--data {pictures} --image-size 8 --batch-size 7 --epochs 2 --lr 0.05"
DIGITS = "--data digits --images 33 --test-images 20 --batch-size 16 --epochs 2 --lr 0.05"
MODERN = (
    "--mixup 0.2 --cutmix 1 --randaugment 2 9 --erase 0.5 --warmup 1 --clip 1 --accumulate 2 --no-decay-norms "
    "--layer-decay 0.8 --ema 0.9 --freeze conv1 --balance sampling --optimizer timm:lamb"
)
RUNS = {
    "our loader, whose last batch would be of one": f"supervised --network resnet8 {DIGITS}",
    "own loader, dropout, averaged weights": "run {own} --batch-size 1 --epochs 2 --lr 0.05",
    "own loader with a worker": "run {own} --processes 1 --batch-size 1 --epochs 2 --lr 0.05",
    "image files": f"supervised --network resnet8 --workers 0 {FILES}",
    "image files, workers": f"supervised --network resnet8 --workers 2 {FILES}",
    "images without labels beside": (
        f"mutual --networks resnet8 resnet8 {DIGITS} --extra {{pictures}} --workers 0 --accumulate 2"
    ),
    "turns": f"mutual --networks resnet8 resnet8 --alternate {DIGITS}",
    "a memory bank": f"distill --student resnet8 --teacher {{teacher}} --terms 0.1*CRD(negatives=8)_on_pooled {DIGITS}",
    "all that is modern": f"distill --student resnet8 --teacher {{teacher}} {DIGITS} {MODERN}",
    "two stages": f"two-stage --student resnet8 --teacher {{teacher}} --first-epochs 1 {DIGITS}",
}
BY_HAND = (
    *("own loader with a worker", "image files", "turns", "two stages"),
    "our loader, whose last batch would be of one",
)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    out = tmp_path_factory.mktemp("teacher") / "run"
    assert main(f"supervised --network resnet8 --seed 7 {DIGITS} --out {out}".split()) == 0
    return out


def results(out):
    """Everything that came out of a run, but for times."""
    found = {}
    for file in sorted([*out.rglob("*.safetensors"), *out.rglob("*.pt")]):
        found[str(file.relative_to(out))] = file.read_bytes()
    for file in sorted(out.rglob("metrics.jsonl")):
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        found[str(file.relative_to(out))] = [
            {k: v for k, v in line.items() if k not in ("seconds", "images_per_second")} for line in lines
        ]
    return found


def stop_every_step(monkeypatch, number=signal.SIGTERM):
    """Every start of a run takes a single step: a signal comes in the middle of it."""
    real, sent = engine_epoch.train_step, []

    def train_step(*arguments):
        if not sent:  # one signal a start
            sent.append(number)
            os.kill(os.getpid(), number)
        return real(*arguments)

    monkeypatch.setattr(engine_epoch, "train_step", train_step)
    return sent


@pytest.mark.parametrize("name", [pytest.param(name, marks=by_hand) if name in BY_HAND else name for name in RUNS])
def test_stopped_after_every_step_it_ends_in_the_same_bits(
    name, tmp_path, teacher, picture_folder, monkeypatch, capsys
):
    (tmp_path / "own.py").write_text(OWN)
    line = RUNS[name].format(own=tmp_path / "own.py", pictures=picture_folder, teacher=teacher)
    words = [word.replace("_on_", " on ") for word in line.split()]
    assert main([*words, "--out", str(tmp_path / "whole")]) == 0
    sent = stop_every_step(monkeypatch)
    codes = []
    while not codes or codes[-1] != 0:
        sent.clear()
        codes.append(main([*words, "--out", str(tmp_path / "stopped")]))
        assert codes[-1] in (0, 143)
        assert len(codes) < 20, "it does not get on"
    assert len(codes) >= 5, "it was not stopped after every step"
    assert results(tmp_path / "stopped") == results(tmp_path / "whole")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)])
def test_a_signal_is_answered_with_its_code_and_one_line_that_says_what_was_saved(
    number, code, tmp_path, monkeypatch, capsys
):
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # of a suite that was started with nohup, which is heeded
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    before = {one: signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    stop_every_step(monkeypatch, number)
    assert main(f"supervised --network resnet8 {DIGITS} --out {tmp_path}/run".split()) == code
    said = capsys.readouterr().err.splitlines()
    checkpoint = tmp_path / "run" / "last.ckpt"
    assert said[-1] == (
        f"potstill: stopped by {signal.Signals(number).name} after step 1 of epoch 0, saved in {checkpoint}; "
        "the same command continues"
    )
    inside = load_checkpoint(checkpoint, torch.device("cpu"))["inside"]
    assert (inside["step"], inside["over"]) == (1, False)
    assert before == {one: signal.getsignal(one) for one in before}, "handlers are put back"


def own(after_step=None, measure=None, out=None, batches=3, **changes):
    generator = torch.Generator().manual_seed(0)
    data = [(torch.randn(4, 3, 8, 8, generator=generator), torch.tensor([0, 1, 2, 0])) for _ in range(batches)]
    data = ps.data.from_loaders(data, data[:1], classes=3)
    networks = {"student": ps.networks.create("resnet8", 3, seed=0)}
    distiller = ps.Distiller(networks, ps.terms(["CE"], networks), data.example())
    training = ps.Training(epochs=2, lr=0.05, out=out, device="cpu", **changes)
    seams = {"measure": measure} if measure else {}
    ps.fit(distiller, data, training, after_step=after_step, **seams)


@pytest.mark.parametrize(
    ("number", "kind", "code"), [(signal.SIGINT, KeyboardInterrupt, None), (signal.SIGTERM, SystemExit, 143)]
)
def test_in_python_it_is_an_exception_after_saving(number, kind, code, tmp_path):
    left = [2]

    def after_step(distiller):
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    with pytest.raises(kind) as stopped:
        own(after_step, out=tmp_path / "run")
    assert getattr(stopped.value, "code", None) == code
    assert signal.getsignal(number) is before
    own(out=tmp_path / "run")
    own(out=tmp_path / "whole")
    assert results(tmp_path / "run") == results(tmp_path / "whole")


def test_stopped_while_networks_are_measured_the_epoch_is_not_trained_again(tmp_path):
    steps, stop = [], [True]

    def measure(network, batches):
        if stop and steps:
            stop.clear()
            os.kill(os.getpid(), signal.SIGTERM)
        return ps.evaluate(network, batches)

    with pytest.raises(SystemExit):
        own(steps.append, measure, tmp_path / "run")
    assert len(steps) == 3
    own(steps.append, measure, tmp_path / "run")
    assert len(steps) == 6, "three of each epoch"
    own(out=tmp_path / "whole", measure=ps.evaluate)
    assert results(tmp_path / "run") == results(tmp_path / "whole")


def test_whoever_swallows_the_signal_is_asked_again(tmp_path):
    """Foreign code may catch whatever is raised in it, out of habit or in C."""

    def measure(network, batches):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(1)
        except BaseException:
            pass
        return ps.evaluate(network, batches)

    with pytest.raises(SystemExit, match="143"):
        own(None, measure, tmp_path / "run")


def test_where_python_drops_it_it_comes_again_and_nothing_is_printed(tmp_path, capfd):
    class Late:
        def __del__(self):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.01)

    rounds = []

    def measure(network, batches):
        late = Late()
        del late
        while len(rounds) < 100:
            rounds.append(time.sleep(0.05))
        return ps.evaluate(network, batches)

    with pytest.raises(SystemExit, match="143"):
        own(None, measure, tmp_path / "run")
    assert len(rounds) < 100, "it was not waited for the next step"
    assert "Traceback" not in capfd.readouterr().err


def test_outside_of_the_main_thread_no_handler_is_touched(tmp_path):
    seen = []
    thread = threading.Thread(
        target=lambda: own(lambda _: seen.append(signal.getsignal(signal.SIGTERM)), out=tmp_path / "run")
    )
    thread.start()
    thread.join()
    assert set(seen) == {signal.getsignal(signal.SIGTERM)}


def test_saved_every_few_minutes_inside_an_epoch_a_kill_loses_only_those(tmp_path):
    """A real SIGKILL; the next start takes the steps that are missing."""

    class Killed(BaseException):
        pass

    steps = []

    def dies(distiller):
        steps.append(1)
        if len(steps) == 5:
            raise Killed

    with pytest.raises(Killed):
        own(dies, out=tmp_path / "run", save_every=1e-9)
    inside = load_checkpoint(tmp_path / "run" / "last.ckpt", torch.device("cpu"))
    assert (len(inside["history"]), inside["inside"]["step"]) == (1, 1)
    steps.clear()
    own(steps.append, out=tmp_path / "run")
    assert len(steps) == 2
    own(out=tmp_path / "whole")
    assert results(tmp_path / "run") == results(tmp_path / "whole")


def test_a_state_that_is_broken_is_not_saved_inside_an_epoch(tmp_path):
    def breaks(distiller):
        with torch.no_grad():
            next(distiller.networks["student"].parameters()).fill_(float("nan"))

    with pytest.raises(TrainingFailed, match="not finite after step 1 of epoch 0"):
        own(breaks, out=tmp_path / "run", save_every=1e-9)
    assert not (tmp_path / "run" / "last.ckpt").exists()


def test_a_term_that_is_not_finite_is_not_saved_and_its_epoch_is_named(tmp_path):
    networks = {"student": ps.networks.create("resnet8", seed=0)}
    batch = {"images": torch.randn(4, 3, 8, 8), "labels": torch.arange(4)}
    distiller = ps.Distiller(networks, ps.terms(["CE"], networks), batch)
    state = State(distiller, SimpleNamespace(path=tmp_path, checkpoint=tmp_path / "last.ckpt"))
    place = Place()
    place.enter(["CE student"], torch.device("cpu"))
    place.passed({"CE student": torch.tensor(float("nan"))}, 4, [])
    with pytest.raises(TrainingFailed, match="epoch 1"):
        state.save_inside([{"epoch": 0}], place)


def test_between_two_epochs_the_one_that_is_whole_is_named(tmp_path):
    (tmp_path / "last.ckpt").touch()
    state = SimpleNamespace(run=SimpleNamespace(checkpoint=tmp_path / "last.ckpt"))
    said = _saved(KeyboardInterrupt(), state, [{"epoch": 0}, {"epoch": 1}], Place())
    assert "stopped by SIGINT after epoch 1, saved in" in said


SLOW = """
import os, signal, sys, time
from potstill.cli import main
import potstill.engine.epoch as epoch
real = epoch.train_step
def train_step(*arguments):
    print("step", flush=True)
    time.sleep(60)
    return real(*arguments)
epoch.train_step = train_step
sys.exit(main(sys.argv[1:]))
"""


def test_a_second_signal_ends_at_once_and_the_workers_that_decode_with_it(tmp_path, picture_folder):
    words = f"supervised --network resnet8 --data {picture_folder} --image-size 8 --workers 2 --out {tmp_path}/run"
    command = [sys.executable, "-c", SLOW, *words.split()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "step\n"
        workers = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        assert len(workers) >= 2
        process.send_signal(signal.SIGTERM)
        time.sleep(0.7)
        assert process.poll() is None, "the step is finished first"
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 143
    deadline = time.monotonic() + 4  # torch's own workers look after 5 s
    while any(_lives(pid) for pid in workers):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _lives(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
