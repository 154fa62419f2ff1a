"""A finished run that goes on for more epochs: the same bits as from the start, or a refusal that says why."""

import json
import os
import signal

import pytest
import torch

import potstill as ps
from potstill.cli import main
from potstill.engine import epoch as engine_epoch
from potstill.errors import BadInput

DIGITS = "supervised --network resnet8 --data digits --images 32 --test-images 20 --batch-size 16"


def results(out):
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    measured = [{k: v for k, v in line.items() if k not in ("seconds", "images_per_second")} for line in lines]
    return measured, *((out / name).read_bytes() for name in ("student.safetensors", "student-best.safetensors"))


C16 = {
    "milestones that are given": "--milestones 1",
    "a constant rate": "--decay 1",
}


@pytest.mark.parametrize("name", C16)
def test_c16_it_is_the_longer_run_bit_for_bit(name, tmp_path):
    for epochs, out in ((2, "run"), (4, "run"), (4, "whole")):
        assert main(f"{DIGITS} --lr 0.05 {C16[name]} --epochs {epochs} --out {tmp_path}/{out}".split()) == 0
    assert results(tmp_path / "run") == results(tmp_path / "whole")
    summaries = [json.loads((tmp_path / out / "summary.json").read_text()) for out in ("run", "whole")]
    assert [summary["epochs"] for summary in summaries] == [4, 4]
    assert summaries[0]["learners"] == summaries[1]["learners"]
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["arguments"]["epochs"] == 4
    assert config["extended"] == [{"epochs": 2, "changed": None}]


REFUSED = {
    "": "its learning rate in epoch 1 was 0.002 and would have been 0.05",
    "--schedule cosine": "its learning rate in epoch 1 was 0.025 and would have been 0.0466506",
    "--milestones 1 --seed 1": "--seed was 0 there and is 1 now",
    "--milestones 1 --batch-size 8": "--batch-size was 16 there and is 8 now",
    "--milestones 1 --lr 0.1": "its learning rate in epoch 0 was 0.05 and would have been 0.1",
}


@pytest.mark.parametrize("flags", REFUSED)
def test_c16_what_would_have_been_another_run_is_refused_and_left_as_it_is(flags, tmp_path, capsys):
    first = "" if flags in ("", "--schedule cosine") else "--milestones 1"
    schedule = flags if flags == "--schedule cosine" else first
    assert main(f"{DIGITS} --lr 0.05 {schedule} --epochs 2 --out {tmp_path}/run".split()) == 0
    before = {file: file.read_bytes() for file in (tmp_path / "run").iterdir() if not file.name.startswith("events")}
    words = f"{DIGITS} --lr 0.05 {flags} --epochs 6 --out {tmp_path}/run".split()
    assert main(words) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert REFUSED[flags] in line
    assert ("give the --milestones that it had, choose another --out" in line) == (flags == "")
    after = {file: file.read_bytes() for file in (tmp_path / "run").iterdir() if not file.name.startswith("events")}
    assert {f.name for f in before} == {f.name for f in after}
    assert before == after
    if "learning rate" in line and "lr" not in flags:
        assert main([*words, "--extend"]) == 0
        assert len(results(tmp_path / "run")[0]) == 6
        (extended,) = json.loads((tmp_path / "run" / "config.json").read_text())["extended"]
        assert extended == {"epochs": 2, "changed": REFUSED[flags]}


def test_c16_fewer_epochs_are_another_run(tmp_path, capsys):
    for epochs, code in ((2, 0), (1, 2)):
        assert main(f"{DIGITS} --lr 0.05 --decay 1 --epochs {epochs} --out {tmp_path}/run".split()) == code
    assert "--epochs was 2 there and is 1 now" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("weight", "addresses", "message"),
    [
        (lambda epochs: ps.schedules.linear(1.0, epochs), (), "the weight of 'more' in epoch 1 was 0.5 and would have"),
        (lambda epochs: 1.0, ("progress",), "a term takes 'progress', the part of the training that is done"),
    ],
)
def test_c16_terms_that_depend_on_the_length_are_named(weight, addresses, message, tmp_path):
    def go(epochs):
        data = ps.data.from_loaders([(torch.randn(4, 3, 8, 8), torch.tensor([0, 1, 2, 0]))] * 2, classes=3)
        networks = {"student": ps.networks.create("resnet8", 3, seed=0)}

        def more(logits, *progress):
            return logits.square().mean()

        terms = [*ps.terms(["CE"], networks), ps.Term(more, "student", *addresses, weight=weight(epochs), name="more")]
        distiller = ps.Distiller(networks, terms, data.example())
        ps.fit(distiller, data, ps.Training(epochs=epochs, decay=1.0, out=tmp_path / "run", device="cpu"))

    go(2)
    with pytest.raises(BadInput, match=message):
        go(4)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"milestones": (1,)}, "its learning rate in epoch 1 was 0.05 and would have been 0.01"),
        ({"weight": lambda epoch: 1.0 + (epoch == 1)}, "the weight of 'more' in epoch 1 was 1 and would have been 2"),
    ],
    ids=["rate", "weight"],
)
def test_c16_an_epoch_that_is_begun_counts_as_well(changed, message, tmp_path, monkeypatch):
    def go(epochs, weight=lambda epoch: 1.0, **settings):
        data = ps.data.from_loaders([(torch.randn(4, 3, 8, 8), torch.tensor([0, 1, 2, 0]))] * 2, classes=3)
        networks = {"student": ps.networks.create("resnet8", 3, seed=0)}

        def more(logits):
            return logits.square().mean()

        terms = [*ps.terms(["CE"], networks), ps.Term(more, "student", weight=weight, name="more")]
        training = ps.Training(epochs=epochs, lr=0.05, out=tmp_path / "run", device="cpu", **settings)
        ps.fit(ps.Distiller(networks, terms, data.example()), data, training)

    real, steps = engine_epoch.train_step, []

    def train_step(*arguments):
        steps.append(1)
        if len(steps) == 3:  # the first step of epoch 1
            os.kill(os.getpid(), signal.SIGTERM)
        return real(*arguments)

    monkeypatch.setattr(engine_epoch, "train_step", train_step)
    with pytest.raises(SystemExit):
        go(2, decay=1.0)
    with pytest.raises(BadInput, match=message):
        go(4, **{"decay": 0.2 if "milestones" in changed else 1.0, **changed})


def test_c16_without_its_checkpoint_a_finished_run_cannot_go_on(tmp_path, capsys):
    words = f"{DIGITS} --lr 0.05 --decay 1 --out {tmp_path}/run --epochs".split()
    assert main([*words, "1"]) == 0
    (tmp_path / "run" / "last.ckpt").unlink()
    assert main([*words, "2"]) == 2
    assert "last.ckpt is missing" in capsys.readouterr().err
    assert main([*words, "1"]) == 0
