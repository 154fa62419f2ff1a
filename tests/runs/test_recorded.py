"""Damaged run folders: each is refused with a reason, and none with a traceback."""

import json

import pytest

from potstill.errors import BadInput
from potstill.runs.outcomes import packed
from potstill.runs.recorded import read_run


def cut(file):
    file.write_text(file.read_text()[: file.stat().st_size // 2])


def set_in(file, line, **changes):
    lines = file.read_text().splitlines(keepends=True)
    lines[line] = json.dumps({**json.loads(lines[line]), **changes}) + "\n"
    file.write_text("".join(lines))


DAMAGE = {
    "no config": (lambda run: (run / "config.json").unlink(), "config.json is missing"),
    "half a config": (lambda run: cut(run / "config.json"), "config.json is damaged: "),
    "a list": (lambda run: (run / "config.json").write_text("[]"), "config.json is damaged: it is [], not an object"),
    "another config": (lambda run: (run / "config.json").write_text('{"model_type": "x"}'), "networks is missing"),
    "no text": (lambda run: (run / "config.json").write_bytes(b"\xff\xfe\x00"), "config.json is damaged: "),
    "no metrics": (lambda run: (run / "metrics.jsonl").unlink(), "metrics.jsonl is missing"),
    "empty metrics": (lambda run: (run / "metrics.jsonl").write_text(""), "no epoch is finished"),
    "half metrics": (lambda run: cut(run / "metrics.jsonl"), "metrics.jsonl is damaged: line "),
    "words": (lambda run: set_in(run / "metrics.jsonl", 1, seconds="long"), "line 2: seconds is 'long', not a number"),
    "a gap": (lambda run: set_in(run / "metrics.jsonl", 1, epoch=5), "line 2: epoch 5 is in the place of 1"),
    "no weight": (lambda run: set_in(run / "metrics.jsonl", 0, weights={}), "the weight of 'CE student' is missing"),
    "other learners": (lambda run: set_in(run / "metrics.jsonl", 1, learners={}), "other networks learn"),
    "half a summary": (lambda run: cut(run / "summary.json"), "summary.json is damaged: "),
    "nobody learns": (
        lambda run: [set_in(run / "metrics.jsonl", line, learners={}) for line in (0, 1)] + [drop_learners(run)],
        "no network of this run learns",
    ),
}


def drop_learners(run):
    summary = json.loads((run / "summary.json").read_text())
    (run / "summary.json").write_text(json.dumps({**summary, "learners": {}}))


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_named(runs, damage):
    do, message = DAMAGE[damage]
    do(runs / "helped-0")
    with pytest.raises(BadInput) as caught:
        read_run(runs / "helped-0")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_summary_of_another_length_or_other_learners(runs, edit):
    edit(runs / "helped-0" / "summary.json", lambda summary: summary.update(epochs=7))
    with pytest.raises(BadInput, match=r"metrics.jsonl has 2 epochs, but summary.json 7"):
        read_run(runs / "helped-0")
    edit(runs / "helped-1" / "summary.json", lambda summary: summary["learners"].clear())
    with pytest.raises(BadInput, match=r"summary.json says nothing of student"):
        read_run(runs / "helped-1")


INSIGHT_DAMAGE = [
    lambda insight: insight.pop("images"),
    lambda insight: insight["images"].pop(),
    lambda insight: insight["images"][0]["pixels"].update(base64="AAAA"),
    lambda insight: insight["predictions"]["teacher"].pop(),
    lambda insight: insight["attention"]["student"]["stage1"]["maps"].pop(),
]


@pytest.mark.parametrize("damage", INSIGHT_DAMAGE)
def test_a_damaged_insight_leaves_the_rest_of_the_run(runs, edit, damage):
    edit(runs / "helped-0" / "insight.json", damage)
    run = read_run(runs / "helped-0")
    assert run.insight is None
    assert run.unread["insight.json"].startswith(f"{run.folder / 'insight.json'} is damaged: ")
    assert run.unfinished is None


DETAILS_DAMAGE = [
    lambda details: details["student"].pop("bins"),
    lambda details: details["student"].update(n=0),
    lambda details: details["student"]["classes"].pop(),
    lambda details: details["student"]["confusion"].append([0, 99, 1]),
    lambda details: details["student"]["confusion"][0].pop(),
    lambda details: details["student"]["confusion"].append([0, 0, -1]),
    lambda details: details["student"]["bins"][0].update(n=10**6),
    lambda details: details["student"]["outcomes"].update(right="AAAA"),
    lambda details: details["student"]["outcomes"].update(right="no base64"),
    lambda details: details["student"]["outcomes"].update(right=packed([True] * details["student"]["n"])),
    lambda details: details["student"]["outcomes"].pop("labels"),
]


@pytest.mark.parametrize("damage", DETAILS_DAMAGE)
def test_so_do_damaged_details(runs, edit, damage):
    assert list(read_run(runs / "helped-0").details) == ["student"]
    edit(runs / "helped-0" / "details.json", damage)
    run = read_run(runs / "helped-0")
    assert run.details == {}
    assert run.unread["details.json"].startswith(f"{run.folder / 'details.json'} is damaged: ")
    assert run.unfinished is None


def test_details_are_those_of_the_end(runs):
    (runs / "helped-0" / "summary.json").unlink()  # it goes on for longer
    assert read_run(runs / "helped-0").details == {}
    (runs / "helped-1" / "details.json").unlink()  # of an earlier version
    assert read_run(runs / "helped-1").details == {}
    assert read_run(runs / "helped-1").unread == {}


def test_an_unfinished_run_goes_as_far_as_it_came(runs):
    run = runs / "helped-0"
    summary = json.loads((run / "summary.json").read_text())
    whole = read_run(run)
    for which in ("last", "best"):
        assert whole.measured("student", which) == summary["learners"]["student"][which]["test"]
    (run / "summary.json").unlink()
    for which in ("last", "best"):  # found in the epochs themselves
        assert read_run(run).measured("student", which) == whole.measured("student", which)
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 2, "lr"')  # being written
    read = read_run(run)
    assert len(read.history) == 2
    assert read.unfinished == "unfinished, epoch 2 of 2"
    assert read.cost("student", "macs") is None


def test_the_best_epoch_so_far_is_chosen_as_the_run_would(runs):
    run = runs / "alone-0"
    (run / "summary.json").unlink()
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    for line, (test, holdout) in zip(lines, [(40.0, 90.0), (50.0, 80.0)], strict=True):
        splits = line["learners"]["student"]
        splits["test"]["top1"] = test
        splits["holdout"] = {"top1": holdout, "loss": 1.0, "n": 5}
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert read_run(run).measured("student", "best")["top1"] == 40.0
    assert read_run(run).measured("student", "last")["top1"] == 50.0
