import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import torch
from drawn import by_hand
from safetensors.torch import load_file
from torch import nn

import potstill as ps
from potstill.cli import main
from potstill.engine.checkpoint import fingerprint
from potstill.errors import BadInput, TrainingFailed
from potstill.losses import CE, CRD, KD, FitNet
from potstill.runs import manifest
from potstill.training import Training

SHORT = Training(data="digits", epochs=3, batch_size=100, lr=0.05)
LONG = "distill --student resnet8 --data digits --images 300 --test-images 100 --epochs 8 --batch-size 20 --device cpu"


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    out = tmp_path_factory.mktemp("teacher") / "run"
    ps.recipes.supervised(network="resnet8", training=replace(SHORT, epochs=2, seed=7, out=out))
    return out


def build(training, *more, student="resnet8", seed=0):
    data = training.load_data()
    networks = {"student": ps.networks.create(student, seed=seed)}
    return ps.Distiller(networks, [ps.Term(CE(), "student", "labels"), *more], example=data.example()), data


def run(out, *more, **changes):
    training = replace(SHORT, out=out, **changes)
    distiller, data = build(training, *more)
    return ps.fit(distiller, data, training), distiller


def test_the_run_folder_holds_everything(tmp_path):
    summary, distiller = run(tmp_path / "run")
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names >= {
        *("config.json", "metrics.jsonl", "last.ckpt", "summary.json"),
        *("student.safetensors", "student-best.safetensors"),
    }
    assert any(name.startswith("events.out.tfevents") for name in names)
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["arguments"] | {"epochs": 3, "seed": 0, "lr": 0.05} == config["arguments"]
    assert config["versions"]["torch"] == torch.__version__
    assert {"commit", "device", "threads"} <= config.keys()
    history = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [record["epoch"] for record in history] == [0, 1, 2]
    assert summary == json.loads((tmp_path / "run" / "summary.json").read_text())
    student = summary["learners"]["student"]
    tops = [record["learners"]["student"]["test"]["top1"] for record in history]
    assert student["last"]["test"]["top1"] == tops[-1]
    assert student["best"]["test"]["top1"] == max(tops)
    assert student["best"]["epoch"] == tops.index(max(tops))
    bare = ps.networks.create("resnet8")
    bare.load_state_dict(load_file(tmp_path / "run" / "student.safetensors"))
    assert fingerprint(bare) == fingerprint(distiller.networks["student"])


def test_a_finished_run_is_not_repeated_and_a_run_folder_is_a_network(tmp_path):
    first, distiller = run(tmp_path / "run")
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").iterdir()}
    again, _ = run(tmp_path / "run")
    assert again == first
    assert times == {path: path.stat().st_mtime_ns for path in (tmp_path / "run").iterdir()}
    loaded = ps.networks.create(str(tmp_path / "run"))
    assert fingerprint(loaded) == fingerprint(distiller.networks["student"])


def test_learns_and_the_learning_rate_falls(tmp_path):
    summary, _ = run(tmp_path / "run", epochs=10, batch_size=50)
    assert summary["learners"]["student"]["last"]["test"]["top1"] > 80
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    rates = [json.loads(line)["lr"] for line in lines]
    assert rates == pytest.approx([0.05] * 3 + [0.01] * 3 + [0.002] * 2 + [0.0004] * 2)


@pytest.mark.parametrize("changes", [{"optimizer": "adamw", "lr": 0.002}, {"optimizer": "sgd"}, {"schedule": "cosine"}])
def test_every_optimiser_and_schedule_learns(tmp_path, changes):
    _, distiller = run(tmp_path / "run", **changes)
    first, *_, last = (json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines())
    assert last["terms"]["CE student"] < first["terms"]["CE student"]
    assert all(parameter.isfinite().all() for parameter in distiller.parameters())


def test_bf16_keeps_float32_weights_and_losses(tmp_path):
    dtypes = set()

    def watch(logits, labels):
        dtypes.add(logits.dtype)
        return CE()(logits, labels)

    training = replace(SHORT, out=tmp_path / "run", precision="bf16")
    data = training.load_data()
    student = ps.networks.create("resnet8", seed=0)
    inside = set()
    student.layer2.register_forward_hook(lambda *arguments: inside.add(arguments[2].dtype))
    distiller = ps.Distiller({"student": student}, [ps.Term(watch, "student", "labels")], example=data.example())
    inside.clear()
    distiller.train()
    summary = ps.fit(distiller, data, training)
    assert dtypes == {torch.float32}
    assert torch.bfloat16 in inside
    assert {parameter.dtype for parameter in student.parameters()} == {torch.float32}
    assert summary["learners"]["student"]["last"]["test"]["top1"] > 20


def test_holdout_chooses_the_best_epoch_without_the_test_set(tmp_path):
    summary, _ = run(tmp_path / "run", holdout=5, batch_size=50, epochs=5)
    history = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    held = [record["learners"]["student"]["holdout"] for record in history]
    assert {result["n"] for result in held} == {5}
    assert summary["best_chosen_on"] == "holdout"
    tops = [result["top1"] for result in held]
    tests = [record["learners"]["student"]["test"]["top1"] for record in history]
    assert tops.index(max(tops)) != tests.index(max(tests)), "the two agree here: this would show nothing"
    assert summary["learners"]["student"]["best"]["epoch"] == tops.index(max(tops))


def test_same_seed_same_bits_other_seed_other_bits(tmp_path):
    prints = [fingerprint(run(tmp_path / f"{i}", seed=seed)[1].networks["student"]) for i, seed in enumerate((0, 0, 1))]
    assert prints[0] == prints[1] != prints[2]


def test_kd_of_weight_zero_is_the_baseline_bit_for_bit(tmp_path):
    _, alone = run(tmp_path / "alone")
    training = replace(SHORT, out=tmp_path / "zero")
    data = training.load_data()
    networks = {"student": ps.networks.create("resnet8", seed=0), "teacher": ps.freeze(ps.networks.create("resnet8x4"))}
    terms = [
        ps.Term(CE(), "student", "labels"),
        ps.Term(KD(), "student", "teacher", weight=0),
        ps.Term(FitNet(), "student.stage1", "teacher.stage1", weight=0),
    ]
    helped = ps.Distiller(networks, terms, example=data.example())
    ps.fit(helped, data, training)
    assert fingerprint(alone.networks["student"]) == fingerprint(helped.networks["student"])


def test_killed_at_any_moment_it_continues_and_ends_bit_identical(tmp_path, teacher):
    """A real SIGKILL in the middle of an epoch; many more are tools/crash_test.py's."""
    terms = ("CE", "KD", "FitNet on stage2=stage3")
    words = [*LONG.split(), "--lr", "0.05", "--terms", *terms, "--teacher", str(teacher), "--out"]
    killed = tmp_path / "killed"
    process = subprocess.Popen(
        [sys.executable, "-m", "potstill", *words, str(killed)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while process.poll() is None and lines(killed / "metrics.jsonl") < 2:
        time.sleep(0.002)
    time.sleep(0.05)
    process.kill()
    process.wait()
    assert not (killed / "summary.json").is_file(), "it was not killed in time"
    assert 2 <= lines(killed / "metrics.jsonl") < 8
    for out in (killed, tmp_path / "whole"):
        assert main([*words, str(out)]) == 0
    for file in ("student.safetensors", "student-best.safetensors"):
        assert (killed / file).read_bytes() == (tmp_path / "whole" / file).read_bytes(), file
    assert measured(killed) == measured(tmp_path / "whole")


def lines(file):
    return len(file.read_text().splitlines()) if file.is_file() else 0


def measured(folder):
    """All that was measured, but for the time it took."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in ("seconds", "images_per_second")} for line in lines]


@pytest.mark.parametrize(
    ("make", "addresses"),
    [
        (lambda: FitNet(regressor=True), ("student.stage2", "teacher.stage2")),
        (lambda: CRD(negatives=64), ("student.pooled", "teacher.pooled", "index", "labels", "size")),
    ],
    ids=["FitNet", "CRD"],
)
def test_losses_own_state_is_resumed(tmp_path, teacher, make, addresses):
    """FitNet's regressor, its batch norm and its momentum, CRD's memory bank: broken off after two epochs of four."""

    class Interrupt(Exception):
        pass

    def go(out, stop):
        training = replace(SHORT, epochs=4, out=out)
        data = training.load_data()
        networks = {"student": ps.networks.create("resnet8", seed=0)}
        networks["teacher"] = ps.freeze(ps.networks.create(str(teacher)))
        terms = [ps.Term(make(), *addresses), ps.Term(CE(), "student", "labels")]
        distiller = ps.Distiller(networks, terms, example=data.example())
        if stop:
            begin = data.train.set_epoch

            def until_two(epoch):
                if epoch == 2:
                    raise Interrupt
                begin(epoch)

            data.train.set_epoch = until_two
        ps.fit(distiller, data, training)
        return fingerprint(distiller.networks), fingerprint(distiller.losses)

    whole = go(tmp_path / "whole", stop=False)
    with pytest.raises(Interrupt):
        go(tmp_path / "broken", stop=True)
    assert go(tmp_path / "broken", stop=False) == whole


def test_a_teacher_is_measured_before_the_first_epoch_and_stays_bit_identical(tmp_path, teacher):
    training = replace(SHORT, out=tmp_path / "run")
    data = training.load_data()
    frozen = ps.freeze(ps.networks.create(str(teacher)))
    before = fingerprint(frozen)
    networks = {"student": ps.networks.create("resnet8", seed=0), "teacher": frozen}
    terms = [ps.Term(CE(), "student", "labels"), ps.Term(KD(), "student", "teacher")]
    summary = ps.fit(ps.Distiller(networks, terms, example=data.example()), data, training)
    assert fingerprint(frozen) == before
    costs = {"parameters": ps.networks.parameters(frozen), "macs": ps.networks.macs(frozen, (3, 8, 8))}
    assert summary["teachers"]["teacher"] == costs | ps.evaluate(frozen, data.test)


def test_a_finished_run_gives_back_its_networks_and_completes_its_insight(tmp_path):
    training = replace(SHORT, out=tmp_path / "run")
    data = training.load_data()

    def go():
        student, teacher = ps.networks.create("resnet8", seed=0), ps.networks.create("resnet8x4", seed=1)
        networks = {"student": student, "teacher": ps.freeze(teacher)}
        terms = [ps.Term(CE(), "student", "labels"), ps.Term(FitNet(), "student.stage2", "teacher.stage2")]
        distiller = ps.Distiller(networks, terms, example=data.example(), classifiers=list(networks))
        return ps.fit(distiller, data, training), fingerprint(distiller)

    first = go()
    manifest.write(tmp_path / "run", {"insight.json": None})  # as if killed just before it was written
    assert go() == first
    agreement = json.loads((tmp_path / "run" / "insight.json").read_text())["agreement"]["student"]["teacher"]
    assert 0 <= agreement["top1"] <= 100
    assert agreement["n"] == first[0]["teachers"]["teacher"]["n"]


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_good_checkpoint(tmp_path):
    def poison(logits, index):
        return logits.mean() * torch.where((index == 500).any() & poison.on, float("nan"), 1.0)

    poison.on = torch.tensor(False)
    switch = ps.Term(
        poison, "student", "index", weight=lambda epoch: float(poison.on.fill_(epoch == 2) is not None), name="bad"
    )
    with pytest.raises(TrainingFailed, match=r"'bad' is not finite at step \d+ of epoch 2; the last good checkpoint"):
        run(tmp_path / "run", switch)
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert len(lines) == 2
    assert not (tmp_path / "run" / "summary.json").exists()
    assert all(value.isfinite().all() for value in load_file(tmp_path / "run" / "student.safetensors").values())


def test_weights_that_the_last_step_of_an_epoch_breaks_are_never_saved(tmp_path):
    def finite_value_nan_gradient(logits):
        return (logits * 0).sum().sqrt()

    term = ps.Term(finite_value_nan_gradient, "student", weight=lambda epoch: float(epoch == 1))
    with pytest.raises(
        TrainingFailed, match="student gives no finite output after epoch 1.*; the last good checkpoint"
    ):
        run(tmp_path / "run", term, batch_size=1000)
    assert len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) == 1
    assert all(value.isfinite().all() for value in load_file(tmp_path / "run" / "student.safetensors").values())


def test_a_full_disk_ends_the_run_with_one_clear_line(tmp_path):
    """A real limit on the size of files, in a process of its own."""
    code = f"""
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from potstill.cli import main
import torch
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
words = "supervised --network resnet8 --data digits --images 60 --test-images 40 --epochs 1"
sys.exit(main([*words.split(), "--out", "{tmp_path}/run"]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ})
    assert done.returncode == 3, done.stderr
    assert "File too large while writing" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "run").glob(".*draft"))
    assert not list((tmp_path / "run").glob("*.safetensors"))


@pytest.mark.parametrize(
    ("change", "message"),
    [({"lr": 0.1}, "--lr was 0.05 there and is 0.1 now"), ({"seed": 3}, "--seed was 0 there and is 3 now")],
)
def test_a_folder_of_another_run_is_refused(tmp_path, change, message):
    run(tmp_path / "run")
    with pytest.raises(BadInput, match=message):
        run(tmp_path / "run", **change)


def test_another_network_and_a_checkpoint_of_one_are_refused(tmp_path):
    run(tmp_path / "run")
    manifest.write(tmp_path / "run", {"summary.json": None})  # as if killed just before it was written
    training = replace(SHORT, out=tmp_path / "run")
    distiller, data = build(training, student="resnet14")
    with pytest.raises(BadInput, match=r"network student was 'resnet8' there and is 'resnet14' now"):
        ps.fit(distiller, data, training)
    ps.fit(distiller, data, replace(training, out=tmp_path / "other"))
    manifest.write(tmp_path / "run", {"last.ckpt": (tmp_path / "other" / "last.ckpt").read_bytes()})
    with pytest.raises(BadInput, match=r"last.ckpt is of other networks"):
        run(tmp_path / "run")


def test_another_teacher_is_refused(tmp_path):
    training = replace(SHORT, out=tmp_path / "run")
    data = training.load_data()

    def go(seed):
        networks = {"student": ps.networks.create("resnet8", seed=0)}
        networks["teacher"] = ps.freeze(ps.networks.create("resnet8", seed=seed))
        terms = [ps.Term(KD(), "student", "teacher")]
        return ps.fit(ps.Distiller(networks, terms, example=data.example()), data, training)

    go(1)
    with pytest.raises(BadInput, match="weights of teacher"):
        go(2)


def test_a_network_of_other_classes_is_refused(tmp_path):
    training = replace(SHORT, out=tmp_path / "run")
    data = training.load_data()
    network = ps.networks.create("resnet8", classes=20)
    distiller = ps.Distiller({"student": network}, [ps.Term(CE(), "student", "labels")], example=data.example())
    with pytest.raises(BadInput, match="student has 20 classes, but digits has 10"):
        ps.fit(distiller, data, training)
    assert not (tmp_path / "run").exists()


def test_default_folder_depends_on_the_configuration_only(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for epochs in (1, 1, 2):
        training = replace(SHORT, epochs=epochs)
        distiller, data = build(training)
        ps.fit(distiller, data, training)
    assert len(list((tmp_path / "runs").iterdir())) == 2


@by_hand
@pytest.mark.skipif(not any(map(shutil.which, ("c++", "g++", "clang++"))), reason="torch.compile needs a C++ compiler")
def test_compiled_networks_train_to_the_same_numbers(tmp_path):
    def loss(compile):
        training = replace(SHORT, epochs=1, compile=compile, out=tmp_path / str(compile))
        torch.manual_seed(0)
        layers = (nn.Conv2d(3, 8, 3, 2), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.LazyLinear(10))
        data = training.load_data()
        networks = {"student": nn.Sequential(*layers)}
        networks["student"](data.example()["images"])
        distiller = ps.Distiller(networks, [ps.Term(CE(), "student", "labels")], data.example())
        return ps.fit(distiller, data, training)["learners"]["student"]["last"]["test"]["loss"]

    assert loss(compile=True) == pytest.approx(loss(compile=False), rel=1e-3)
