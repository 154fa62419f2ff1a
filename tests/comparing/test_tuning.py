"""``potstill compare --tune``: what is tried, what ends early, and that the test images play no part."""

import json
from dataclasses import replace

import pytest
import torch
from comparing.digits_pair import make_place, words
from in_process import run_in_process

from potstill.cli import main
from potstill.comparing.methods import methods
from potstill.comparing.study import Studies
from potstill.comparing.tuning import settings_of
from potstill.comparing.watched import Follower, Watched
from potstill.data.images import ImageSet
from potstill.data.load import DATASETS
from potstill.tables.jobs import Ended


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return make_place(tmp_path_factory.mktemp("place"))


@pytest.fixture
def started(monkeypatch):
    return run_in_process(monkeypatch)


def tuned(place, out, *more, trials=3, methods=("KD",)):
    fast = ("--lr", "0.2")  # so that images which say nothing are told from others
    return words(place, out, "--tune", str(trials), "--seeds", "1", *fast, *more, methods=methods, epochs=4)


@pytest.fixture(scope="module")
def finished(place, tmp_path_factory):
    out = tmp_path_factory.mktemp("tuned") / "out"
    with pytest.MonkeyPatch.context() as patch:
        run_in_process(patch)
        assert main(tuned(place, out)) == 0
    return out


def told(out):
    return json.loads((out / "tune.json").read_text())["methods"]["KD"]


def config(folder):
    return json.loads((folder / "config.json").read_text())["arguments"]


def test_the_usual_setting_is_tried_first_and_the_best_is_compared(finished):
    trials, chosen = told(finished)["trials"], told(finished)["chosen"]
    assert [len(trials), trials[0]["terms"]] == [3, ["0.1 * CE", "0.9 * KD"]]
    assert trials[0]["state"] == "complete"
    whole = [trial["curve"][-1] for trial in trials if trial["state"] == "complete"]
    assert trials[chosen]["curve"][-1] == max(whole)
    assert config(finished / "KD" / "seed-0")["terms"] == trials[chosen]["terms"]
    assert "the best of 3 settings of each method on held-out training images" in (finished / "table.md").read_text()


def test_trials_have_seeds_and_images_of_their_own(finished):
    for number in range(3):
        one = config(finished / "tuning" / "KD" / str(number) / "seed-1000")
        assert (one["seed"], one["holdout"], one["images"]) == (1000, 12, 48)
    compared = config(finished / "KD" / "seed-0")
    assert (compared["seed"], compared["holdout"], compared["images"]) == (0, 0, 60)


def test_curves_are_of_the_held_out_images(finished):
    (trial, *_) = told(finished)["trials"]
    metrics = finished / "tuning" / "KD" / "0" / "seed-1000" / "metrics.jsonl"
    measured = [json.loads(line)["learners"]["student"] for line in metrics.read_text().splitlines()]
    assert trial["curve"] == [epoch["holdout"]["top1"] for epoch in measured]
    assert trial["curve"] != [epoch["test"]["top1"] for epoch in measured]


def test_test_images_play_no_part(place, finished, started, tmp_path, monkeypatch):
    """They are noise, with other labels: not a bit of what is tuned changes."""
    source = DATASETS["digits"]
    train, test = source.read(None)
    noise = torch.randint(0, 256, test.images.shape, generator=torch.Generator().manual_seed(1)).to(test.images.dtype)
    garbage = ImageSet(noise, test.labels.roll(13))
    monkeypatch.setitem(DATASETS, "digits", replace(source, read=lambda folder: (train, garbage)))
    assert main(tuned(place, tmp_path / "out")) == 0
    assert (tmp_path / "out" / "tune.json").read_bytes() == (finished / "tune.json").read_bytes()
    losses = [
        json.loads((out / "student-alone" / "seed-0" / "summary.json").read_text())["learners"]["student"]["last"][
            "test"
        ]
        for out in (tmp_path / "out", finished)
    ]
    assert losses[0]["loss"] != losses[1]["loss"]  # the compared runs have seen that they are others


@pytest.mark.parametrize("after", [0, 1, 2])
def test_stopped_and_gone_on_with_tries_the_same(place, finished, tmp_path, monkeypatch, after):
    class Stopped(list):
        def append(self, name):
            if len(self) == after:
                raise KeyboardInterrupt
            super().append(name)

    with monkeypatch.context() as patch:
        run_in_process(patch, Stopped())
        assert main(tuned(place, tmp_path / "out")) == 130
    started = run_in_process(monkeypatch)
    assert main(tuned(place, tmp_path / "out")) == 0
    assert started[: 3 - after] == [f"KD trial {number}" for number in range(after, 3)]
    assert (tmp_path / "out" / "tune.json").read_bytes() == (finished / "tune.json").read_bytes()
    assert main(tuned(place, tmp_path / "out", "--dry-run")) == 0


def test_what_was_decided_is_known_to_whoever_goes_on_after_a_kill(tmp_path):
    (method,) = methods(["KD"], True)
    studies = Studies(tmp_path, 9)
    first = studies.trial(method, 0)
    assert settings_of(method, first) == {"weight": 1.0, "temperature": 4.0}
    assert all(studies.judge(first)(90.0, epoch) for epoch in range(1, 10))
    studies.tell(first, failed=False)
    bad, good = (studies.trial(method, number) for number in (1, 2))
    drawn = [settings_of(method, trial) for trial in (bad, good)]
    assert not studies.judge(bad)(10.0, 1)
    assert studies.judge(good)(95.0, 1)

    again = Studies(tmp_path, 9)  # killed while both runs were there
    assert again.trial(method, 1) is None
    trial = again.trial(method, 2)
    assert (settings_of(method, trial), drawn[0] == drawn[1]) == (drawn[1], False)
    assert [again.judge(trial)(95.0 - epoch, epoch) for epoch in (1, 2)] == [True, True]
    assert [told["curve"] for told in again.told(method)] == [[90.0] * 9, [10.0], [95.0, 93.0]]


def test_a_method_without_settings_stays(place, started, tmp_path, capsys):
    assert main(tuned(place, tmp_path / "out", trials=2, methods=("2 * Logits", "Logits"))) == 0
    assert [*json.loads((tmp_path / "out" / "tune.json").read_text())["methods"]] == ["Logits"]
    assert "--tune: 2-Logits has neither a weight beside that of labels nor a temp" in capsys.readouterr().err


def test_trials_run_here(place, started, tmp_path, capsys):
    assert main(tuned(place, tmp_path / "out", "--collect")) == 2
    assert "--tune trains here: run the same command without --via and --collect first" in capsys.readouterr().err


class Running:
    """A run that ends when it is asked to, with the exit code of one that was."""

    def __init__(self):
        self.asked = False

    def poll(self):
        return Ended("exit code 143") if self.asked else None

    def ask_to_end(self):
        self.asked = True


def test_a_run_is_ended_as_soon_as_nobody_wants_more_and_that_is_no_failure(tmp_path):
    class Somewhere:
        host, run = None, Running()

        def start(self, job):
            return self.run

    seen = []

    def goes_on(value, epochs):
        seen.append((value, epochs))
        return value > 50

    class Job:
        name = "KD trial 1"

    started = Watched(Somewhere(), {"KD trial 1": Follower(tmp_path, goes_on)}).start(Job())
    metrics = tmp_path / "metrics.jsonl"
    line = '{{"learners": {{"student": {{"test": {{"top1": 1.0}}, "holdout": {{"top1": {}}}}}}}}}'
    assert started.poll() is None
    metrics.write_text(f"{line.format(60.0)}\n{line.format(40.0)[:30]}")  # the second is being written
    assert started.poll() is None
    assert seen == [(60.0, 1)]
    metrics.write_text(f"{line.format(60.0)}\n{line.format(40.0)}\n{line.format(90.0)}\n")
    assert started.poll() == Ended(None)
    assert seen == [(60.0, 1), (40.0, 2)]
