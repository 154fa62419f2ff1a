"""What is told of a classifier in detail: against plain loops in float64, and left by every run at no further pass."""

import csv
import json
import math
from dataclasses import replace

import pytest
import torch

import potstill as ps
from potstill.cli import main
from potstill.commands.details import detail_tables
from potstill.engine.details import Answers
from potstill.engine.evaluate import evaluate
from potstill.runs import manifest
from potstill.runs.outcomes import unpacked

CLASSES = 7
SHORT = ps.Training(data="digits", images=100, test_images=90, epochs=2, batch_size=50, lr=0.05, device="cpu")


@pytest.fixture(scope="module")
def answered():
    """Logits and labels of 400 images in two batches; none is of the last class, and the fifth is never chosen."""
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(400, CLASSES, generator=generator)
    logits[:, 4] = -9.0
    labels = torch.randint(CLASSES - 1, (400,), generator=generator)
    logits[torch.arange(400), labels] += 1.5
    return logits, labels


def details_of(logits, labels, **more):
    answers = Answers()
    for part in (slice(0, 250), slice(250, None)):
        answers(logits[part], labels[part])
    return answers.details([f"c{k}" for k in range(CLASSES)], **more)


@pytest.mark.parametrize("bins", [1, 10, 15])
def test_against_plain_loops(answered, bins):
    logits, labels = answered
    found = details_of(logits, labels, bins=bins)
    shares = logits.double().softmax(1)
    chosen, sure = shares.argmax(1).tolist(), shares.max(1).values.tolist()
    pairs = list(zip(labels.tolist(), chosen, sure, strict=True))
    assert found["n"] == 400
    assert found["top1"] == pytest.approx(100 * sum(a == b for a, b, _ in pairs) / 400)
    assert found["nll"] == pytest.approx(-sum(math.log(shares[i, a]) for i, (a, *_) in enumerate(pairs)) / 400)
    assert found["confidence"] == pytest.approx(100 * sum(sure) / 400, rel=1e-6)
    cells = {(a, b): n for a, b, n in found["confusion"]}
    for a in range(CLASSES):
        for b in range(CLASSES):
            assert cells.get((a, b), 0) == sum((a, b) == (label, other) for label, other, _ in pairs)
    for k, one in enumerate(found["classes"]):
        of_class = [b for a, b, _ in pairs if a == k]
        assert (one["class"], one["n"], one["correct"]) == (f"c{k}", len(of_class), of_class.count(k))
        assert one["chosen"] == chosen.count(k)
        assert one["top1"] == (pytest.approx(100 * of_class.count(k) / len(of_class)) if of_class else None)
    ece = 0.0
    for m, one in enumerate(found["bins"]):
        inside = [(a == b, p) for a, b, p in pairs if m / bins < p <= (m + 1) / bins]
        assert one["n"] == len(inside)
        if inside:
            right, mean = (sum(column) / len(inside) for column in zip(*inside, strict=True))
            assert (one["top1"], one["confidence"]) == pytest.approx((100 * right, 100 * mean), rel=1e-6)
            ece += len(inside) / 400 * abs(right - mean)
    assert found["ece"] == pytest.approx(100 * ece, rel=1e-5)


def test_a_bin_has_its_upper_end():
    """Of two equal logits both have a probability of 1/2: that is the first of two bins, as 1 is in the last."""
    logits = torch.tensor([[0.0, 0.0], [0.0, 0.0], [200.0, 0.0]])
    answers = Answers()
    answers(logits, torch.tensor([0, 1, 0]))
    found = answers.details(("a", "b"), bins=2)
    assert [one["n"] for one in found["bins"]] == [2, 1]
    assert found["ece"] == pytest.approx(0.0)
    assert [one["top1"] for one in found["bins"]] == [50.0, 100.0]


def test_outcomes_are_a_bit_an_image_in_the_order_of_the_batches(answered):
    logits, labels = answered
    right = (logits.argmax(1) == labels).tolist()
    found = in_batches(logits, labels, 150)["outcomes"]
    assert unpacked(found["right"], len(labels)) == right
    assert 0 < sum(right) < len(right)
    assert in_batches(logits, labels, 400)["outcomes"] == found
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    assert in_batches(logits[order], labels[order], 150)["outcomes"]["labels"] != found["labels"]


def in_batches(logits, labels, batch):
    answers = Answers()
    for start in range(0, len(labels), batch):
        answers(logits[start : start + batch], labels[start : start + batch])
    return answers.details(())


def test_classes_without_names_are_numbers(answered):
    answers = Answers()
    answers(*answered)
    assert [one["class"] for one in answers.details(())["classes"]] == list("0123456")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "run"
    return out, train(out)


def train(out, **more):
    training = replace(SHORT, out=out)
    data = training.load_data()
    passes = []
    batches = data.test.batches
    data.test.batches = lambda *given: passes.append(given) or batches(*given)
    networks = {"student": ps.networks.create("resnet8", seed=0)}
    distiller = ps.Distiller(networks, ps.terms(["CE"], networks), data.example())
    return ps.fit(distiller, data, training, {"recipe": "own"}, **more), len(passes)


def test_a_run_leaves_details_of_its_last_epoch_without_a_pass_of_their_own(run):
    out, (summary, passes) = run
    (name, found), *others = json.loads((out / "details.json").read_text()).items()
    assert (name, others) == ("student", [])
    last = summary["learners"]["student"]["last"]["test"]
    assert (found["top1"], found["n"]) == (last["top1"], last["n"])
    assert found["nll"] == pytest.approx(last["loss"], rel=1e-6)
    # Each epoch, and the first images for insight.json, as before there were details.
    assert passes == SHORT.epochs + 1


def test_they_are_what_evaluate_tells(run, capsys, tmp_path):
    out, _ = run
    left = json.loads((out / "details.json").read_text())["student"]
    data = ps.data.load("digits", test_images=90)
    network, answers = ps.networks.create(str(out)), Answers()
    assert evaluate(network, data.test, answers) == evaluate(network, data.test)
    assert json.loads(json.dumps(answers.details(data.classes))) == left
    line = f"evaluate --network {out} --data digits --device cpu --details --json --bins 5"
    for ending in ("csv", "json"):
        file = tmp_path / "new" / f"d.{ending}"
        capsys.readouterr()
        assert main([*line.split(), "--out", str(file)]) == 0
        told = json.loads(capsys.readouterr().out)
        details = told["details"]
        assert len(details["bins"]) == 5
        assert told["top1"] == details["top1"]
        if ending == "json":
            assert json.loads(file.read_text())["details"] == details
            continue
        rows = list(csv.DictReader(file.read_text().splitlines()))
        assert [row["class"] for row in rows] == list("0123456789")
        cells = {(a, b): n for a, b, n in details["confusion"]}
        for k, row in enumerate(rows):
            assert int(row["images"]) == details["classes"][k]["n"]
            assert [int(row[str(b)]) for b in range(10)] == [cells.get((k, b), 0) for b in range(10)]


def test_killed_before_its_end_it_looks_again(run, tmp_path):
    out, (summary, _) = run
    before = (out / "details.json").read_bytes()
    manifest.write(out, {"summary.json": None, "details.json": None})
    again, passes = train(out)
    assert again["learners"] == summary["learners"]
    assert (out / "details.json").read_bytes() == before
    assert passes == 2  # of no epoch


def test_a_measure_of_ones_own_leaves_none(tmp_path):
    train(tmp_path / "own", measure=lambda network, batches: {"one": 1.0})
    assert not (tmp_path / "own" / "details.json").exists()


def test_of_a_thousand_classes_the_worst_are_shown():
    generator = torch.Generator().manual_seed(1)
    labels = torch.arange(1000).repeat(3)
    logits = torch.nn.functional.one_hot(labels, 1000) * 20.0
    logits[7::1000] = torch.nn.functional.one_hot(torch.tensor(3), 1000) * 20.0
    logits[500, :] = torch.randn(1000, generator=generator)
    answers = Answers()
    answers(logits, labels)
    classes, pairs, bins = detail_tables(answers.details([f"n{k}" for k in range(1000)]))
    assert len(classes) == 10
    first = classes[0]
    assert first == {"worst of 1000 classes": "n7", "images": 3, "top-1, %": "0.00", "mostly taken for": "n3 (3)"}
    assert classes[1]["worst of 1000 classes"] == "n500"
    assert list(pairs[0].values()) == ["n7", "n3", 3, "100.00"]
    assert sum(row["images"] for row in bins) == 3000


def test_on_a_terminal(run, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    assert main(f"evaluate --network {run[0]} --data digits --device cpu --details".split()) == 0
    text = capsys.readouterr().out
    for words in (
        "mostly taken for",
        "most confused: image of",
        "probability, %",
        "expected calibration error, points",
    ):
        assert words in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--out d.json", "--out d.json is for what --details finds"),
        ("--details --out d.txt", "ends in none of .json, .csv"),
        ("--details --bins 0", "--bins"),
    ],
)
def test_bad_input(run, capsys, words, message):
    assert main(f"evaluate --network {run[0]} --data digits --device cpu {words}".split()) == 2
    assert message in capsys.readouterr().err
