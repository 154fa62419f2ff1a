"""``table --jobs auto``: how many at once is found by measuring, and changes no result."""

import re

import pytest
from drawn import by_hand

from potstill import tables
from potstill.commands.table import table
from potstill.errors import BadInput
from potstill.runs.reading import read_config
from potstill.tables import measured
from potstill.tables.measured import Way, _fastest, run_missing
from potstill.tables.plan import expand
from potstill.tables.row import Row, Table
from potstill.tables.sweep import Sweep

SMALL = {"data": "digits", "images": 64, "test_images": 20, "batch_size": 16}


def rows(budget):
    training = {**SMALL, "epochs": budget.epochs}
    return [
        Row("teacher", "supervised", {"network": "resnet8"}, training),
        *(
            Row(name, "distill", {"student": "resnet8", "terms": ("CE", name.upper())}, training, "teacher")
            for name in ("kd", "dkd")
        ),
    ]


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr(tables, "__all__", [*tables.__all__, "tiny"])
    monkeypatch.setattr(tables, "tiny", Table("A tiny table.", "Nobody", "digits", "SGD", 2, rows), raising=False)
    monkeypatch.setattr(measured, "SECONDS", 0.1)
    monkeypatch.setattr(measured, "cores", lambda: 1)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@by_hand
def test_what_is_measured_is_said_and_followed(tiny, tmp_path, capsys):
    found = table("tiny", seeds=1, out=tmp_path, device="cpu", sweep=Sweep(jobs="auto", side_by_side=1))
    assert found["failed"] == {}
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "--jobs auto" in line]
    chosen, _, told = line.partition("; images a second, of all runs together: ")
    speeds = {way: int(speed) for speed, way in re.findall(r"(\d+) \((.*?)\)", told)}
    assert list(speeds) == ["1 at once, without kept answers", "1 at once"]
    assert min(speeds.values()) > 0
    assert chosen.partition("auto: ")[2] in speeds
    words = read_config(tmp_path / "kd/seed-0")["arguments"]["teacher_cache"]
    assert (words == "off") == ("without" in chosen)
    assert not list(tmp_path.glob(".measured*"))


def test_what_cannot_be_measured_is_run_one_by_one_and_says_why(tiny, tmp_path, capsys):
    several = Table("", "", "digits", "", 1, lambda budget: [Row(f"r{i}", *broken(budget)) for i in range(2)])
    runs = expand(several.rows(), 1, tmp_path, {"device": "cpu"}, None)
    assert measured.measure(Sweep(jobs="auto"), several, tmp_path, runs) == Way(1)
    assert re.search("--jobs auto cannot measure: .*not finite.*; runs are run 1 at once", capsys.readouterr().err)


def broken(budget):
    return "supervised", {"network": "resnet8"}, {**SMALL, "epochs": budget.epochs, "lr": 1e30}


class Speeds:
    """Speeds that are known."""

    def __init__(self, **speeds):
        self.speeds, self.asked = speeds, []

    def speed(self, way):
        self.asked.append(f"j{way.jobs}s{way.side_by_side}")
        return self.speeds[self.asked[-1]]


@pytest.mark.parametrize(
    ("speeds", "expected"),
    [
        ({"j1s1": 10, "j1s2": 9, "j2s1": 19, "j2s2": 18, "j4s1": 19.1, "j4s2": 5}, (2, 1)),  # no more at once
        ({"j1s1": 10, "j1s2": 14, "j1s4": 30, "j2s1": 15, "j2s2": 16, "j2s4": 16}, (1, 4)),  # one teacher for four
        ({"j1s1": 10, "j1s2": 10.2, "j2s1": 0, "j2s2": 0}, (1, 1)),  # two at once fail: four are not tried
        ({"j1s1": 10, "j1s2": 0, "j2s1": 20, "j2s2": 22, "j2s4": 22, "j4s1": 30, "j4s2": 40, "j4s4": 50}, (4, 4)),
    ],
)
def test_the_fastest_is_taken_and_what_does_not_pay_is_not_tried(speeds, expected):
    trials = Speeds(**speeds)
    found = _fastest(trials, Way(1), [1, 2, 4], [1, 2, 4], 16)
    assert (found.jobs, found.side_by_side) == expected
    assert set(trials.asked) == set(speeds)


def test_no_process_is_left_without_a_run():
    trials = Speeds(j1s1=10, j1s2=12, j1s4=14, j2s1=20, j2s2=30)  # of five runs, two processes of four leave one idle
    assert _fastest(trials, Way(1), [1, 2], [1, 2, 4], 5) == Way(2, 2)


def test_what_is_not_there_is_said_before_anything_is_measured(tmp_path):
    with pytest.raises(BadInput, match="--device cpu and --gpus"):
        run_missing(Sweep(jobs="auto", gpus="1"), "tiny", Table("", "", "", "", 1, rows), tmp_path, "cpu", [], 0)


def test_it_measures_this_machine_alone():
    with pytest.raises(BadInput, match="--jobs auto measures this machine: with --via, give a number"):
        Sweep(jobs="auto", via=("slurm",))
    with pytest.raises(BadInput, match="jobs"):
        Sweep(jobs="aut")
