"""``potstill compare`` on a few digits with networks that take next to no time, in the process of the test."""

import json

import pytest
from comparing.digits_pair import SHORT, make_place
from comparing.digits_pair import words as command
from in_process import run_in_process

from potstill.cli import main
from potstill.comparing.budget import Speed
from potstill.statistics import Paired, judge

SPARE = """
from torch import nn


class Spare(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.used, self.spare = nn.Linear(192, classes), nn.Linear(1, 1)

    def forward(self, images):
        return self.used(images.flatten(1))
"""
METHODS = ("KD", "CE; 2 * DKD(beta=8)")
DKD = "CE-2-DKD-beta=8"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a network's file and a teacher."""
    return make_place(tmp_path_factory.mktemp("place"))


@pytest.fixture
def started(monkeypatch):
    return run_in_process(monkeypatch)


def words(place, out, *more, methods=METHODS):
    return command(place, out, *more, methods=methods)


@pytest.fixture(scope="module")
def compared(place, tmp_path_factory):
    """A finished comparison of two seeds: its folder, and what was printed."""
    out = tmp_path_factory.mktemp("compared") / "out"
    with pytest.MonkeyPatch.context() as patch:
        run_in_process(patch)
        assert main(words(place, out, "--seeds", "2")) == 0
    return out


def rows(out):
    return {row["row"]: row for row in json.loads((out / "table.json").read_text())["rows"]}


def measured(out):
    """Rows without what a clock says."""
    return {
        name: {key: value for key, value in row.items() if key not in ("columns", "times_baseline")}
        for name, row in rows(out).items()
    }


def test_each_method_is_judged_against_the_student_alone(compared):
    found = rows(compared)
    assert [*found] == ["student-alone", "KD", DKD]
    reached = {name: dict(enumerate(row["last"]["values"])) for name, row in found.items()}
    judged = judge([Paired.of(reached[name], reached["student-alone"]) for name in ("KD", DKD)])
    for name, one in zip(("KD", DKD), judged, strict=True):
        gain = found[name]["gain"]
        assert (gain["baseline"], gain["verdict"], gain["p_holm"]) == ("student-alone", str(one.verdict), one.adjusted)
        assert {*found[name]["times_baseline"]} == {"time", "memory"}
        columns, alone = found[name]["columns"], found["student-alone"]["columns"]
        assert found[name]["times_baseline"]["time"] == columns["time"]["mean"] / alone["time"]["mean"] > 0
    config = json.loads((compared / DKD / "seed-1" / "config.json").read_text())["arguments"]
    assert (config["terms"], config["seed"]) == (["CE", "2 * DKD(beta=8)"], 1)
    assert "published" not in (compared / "table.md").read_text()


def test_the_same_command_runs_nothing_and_more_seeds_only_these(place, compared, started):
    assert main(words(place, compared, "--seeds", "2")) == 0
    assert started == []
    before = measured(compared)
    assert main(words(place, compared, "--seeds", "3")) == 0
    assert sorted(started) == sorted(f"{name} seed 2" for name in ("student-alone", "KD", DKD))
    assert main(words(place, compared, "--seeds", "2")) == 0
    assert measured(compared) == before


def test_stopped_and_gone_on_with_is_the_same_table(place, compared, started, tmp_path, monkeypatch, capsys):
    class Stopped(list):
        def append(self, name):
            if len(self) == 3:
                raise KeyboardInterrupt
            super().append(name)

    with monkeypatch.context() as patch:
        run_in_process(patch, Stopped())
        assert main(words(place, tmp_path / "out", "--seeds", "2")) == 130
    assert main(words(place, tmp_path / "out", "--seeds", "2")) == 0
    assert len(started) == 3
    assert measured(tmp_path / "out") == measured(compared)


@pytest.mark.parametrize(("more", "methods", "message"), [
    (("--lr", "0.03"), METHODS, "is of another comparison: lr was 0.02 there and is 0.03 now; choose another folder"),
    ((), ("KD",), f"also compares {DKD}: name them again"),
    (("--seed", "5"), METHODS, "seed was 0 there and is 5 now"),
    (("--tune", "2"), METHODS, "tune was None there and is 2 now"),
    (("--teacher-normalize", "imagenet"), METHODS, "teacher normalize was None there and is 'imagenet' now"),
])  # fmt: skip
def test_another_comparison_is_refused(place, compared, started, capsys, more, methods, message):
    assert main(words(place, compared, *more, methods=methods)) == 2
    assert message in capsys.readouterr().err
    assert started == []


def test_a_method_more_is_added(place, compared, capsys):
    assert main(words(place, compared, "--seeds", "2", "--dry-run", methods=("KD", METHODS[1], "Logits"))) == 0
    commands = json.loads(capsys.readouterr().out)["commands"]
    assert sum(not one.startswith("#") for one in commands) == 2  # of Logits alone


def test_one_seed_has_no_spread(place, started, tmp_path, capsys):
    assert main(words(place, tmp_path / "out", "--seeds", "1", methods=("KD",))) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["gains"][0]["verdict"] == "UNDECIDED: a single seed has no spread"


def test_what_cannot_be_compared_is_refused_all_at_once(place, started, tmp_path, capsys):
    assert main(words(place, tmp_path / "out", methods=("KD", "FitNet", "2 * KD on 1:in", "CE; KDD"))) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("potstill: these methods cannot be compared here: FitNet: ")
    assert "; 2-KD-on-1-in: it does not train the whole student: nothing reaches 1.bias and 1 more" in said
    assert "CE-KDD: unknown loss 'KDD'; did you mean KD" in said
    assert not (tmp_path / "out").exists()
    assert started == []


def test_what_the_student_alone_leaves_untrained_is_no_fault_of_a_method(place, tmp_path, capsys):
    (tmp_path / "spare.py").write_text(SPARE)
    changed = ["--student", f"{tmp_path}/spare.py:Spare", "--dry-run"]
    assert main(words(place, tmp_path / "out", *changed, methods=("KD",))) == 0
    assert len(json.loads(capsys.readouterr().out)["commands"]) == 6


def test_of_a_group_what_can_be_trained_is(place, tmp_path, capsys, monkeypatch):
    from potstill.comparing import methods

    few = [card for card in methods.cards() if card.name in ("KD", "DKD", "SRRL")]
    monkeypatch.setattr(methods, "cards", lambda: few)
    assert main(words(place, tmp_path / "out", "--dry-run", "--seeds", "1", methods=("all-logit",))) == 0
    out, err = capsys.readouterr()
    assert "potstill: all-logit: without SRRL: " in err
    assert len(json.loads(out)["commands"]) == 3


@pytest.mark.parametrize(("change", "message"), [
    (["--methods", "KD", "PSKD", "CC"], "KD, CC need a teacher: --teacher"),
    (["--methods", "KDD"], "unknown method 'KDD'; did you mean KD"),
    (["--methods", "PSKD", "--dry-run", "--tune", "3"], "--dry-run: which runs there will be"),
])  # fmt: skip
def test_errors_before_anything_trains(place, started, tmp_path, capsys, change, message):
    alone = ["compare", "--student", f"{place}/net.py:linear", *SHORT.split(), "--out", str(tmp_path / "out")]
    assert main([*alone, *change]) == 2
    assert message in capsys.readouterr().err
    assert started == []


def test_a_folder_of_something_else_is_left_alone(place, tmp_path, capsys):
    (tmp_path / "row" / "seed-0").mkdir(parents=True)
    assert main(words(place, tmp_path)) == 2
    assert "holds runs of something else than a comparison" in capsys.readouterr().err


def test_a_budget_picks_and_keeps_what_it_picked(place, started, tmp_path, capsys, monkeypatch):
    calls = []

    def speed(comparison, folder, tested, sweep, trials):
        calls.append(tested)
        return Speed({"student-alone": 1.0, "KD": 1.0}, "student-alone", 0.0, 0, 30)

    monkeypatch.setattr("potstill.comparing.speed.measured_speed", speed)
    # 756 seconds: 3 seeds of 2 rows, 2 epochs of 60 images, one a second
    budget = words(place, tmp_path / "out", "--budget", "0.21", methods=("KD",))
    assert main(budget) == 0
    assert "2 epochs, 3 seeds, 60 images, about 0.2 hours: whole runs fit" in capsys.readouterr().err
    assert (calls, len(started)) == ([40], 6)
    assert json.loads((tmp_path / "out" / "compare.json").read_text())["picked"]["seeds"] == 3
    assert main(budget) == 0
    assert (calls, len(started)) == ([40], 6)
    assert "size picked by --budget: whole runs fit" in (tmp_path / "out" / "table.md").read_text()


def test_a_budget_measures_real_steps(place, started, tmp_path, capsys):
    assert main([*words(place, tmp_path / "out", "--seeds", "1", "--budget", "1", methods=("KD",))]) == 0
    assert "images a second: KD " in capsys.readouterr().err
    assert started == ["KD seed 0", "student-alone seed 0"] * 2
    assert [path.name for path in (tmp_path / "out").glob(".measured*")] == []
