"""``potstill table`` on the digits, with a table and networks that take next to no time."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from drawn import by_hand

import potstill as ps
from potstill import tables
from potstill.cli import main
from potstill.recipes import rocket
from potstill.tables.plan import expand
from potstill.tables.results import collect
from potstill.tables.row import Row, Table
from potstill.tables.running import write_files
from potstill.training import Training
from potstill.user_code import find_callable

# The table is a file, so that a process of its own can run it too.
FILE = """
import sys
from torch import nn
from potstill import tables
from potstill.cli import main
from potstill.tables.published import Published
from potstill.tables.row import Row, Table

def linear(classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, classes))

def rows(budget):
    net = __file__ + ":linear"
    training = {"data": "digits", "epochs": budget.epochs, "batch_size": 200, "lr": 0.05, "milestones": budget.at(2)}
    kd = {"student": net, "terms": ("0.5 * CE", "0.5 * KD(temperature=4)")}
    quotes = Published(99.0, "A paper", "best test epoch", ""), Published(98.0, "B paper", "last epoch", "")
    return [
        Row("teacher", "supervised", {"network": net}, training),
        Row("kd", "distill", kd, training, "teacher", published=quotes, baseline="teacher"),
        Row("broken", "supervised", {"network": net}, {**training, "lr": -1.0}),
        Row("orphan", "distill", kd, training, "broken"),
    ]

TINY = tables.tiny = Table("A tiny table.", "Nobody", "digits", "SGD", 4, rows)
tables.__all__.append("tiny")
def run(): return TINY
if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
"""
LOCAL = {"PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("tiny") / "tiny.py"
    path.write_text(FILE)
    return path


@pytest.fixture
def tiny(file, monkeypatch):
    monkeypatch.setattr(tables, "__all__", list(tables.__all__))
    monkeypatch.setattr(tables, "tiny", None, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    tables.tiny = find_callable(str(file), "run", "table")()  # the file itself runs once a process
    tables.__all__ = [*{**dict.fromkeys(tables.__all__), "tiny": None}]
    return tables.tiny


@pytest.fixture(scope="module")
def finished(file, tmp_path_factory):
    """The folder of a table with everything present but what fails, of 2 of its 4 epochs."""
    out = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "__all__", list(tables.__all__))
        patch.setattr(tables, "tiny", None, raising=False)
        table = find_callable(str(file), "run", "table")()  # that of the copies in the runs is another
        from potstill.tables.plan import expand

        for run in expand(table.rows(2), 2, out, {}, "kd"):
            assert main(list(run.command()[3:])) == 0
        assert main(list(expand(table.rows(2), 2, out, {}, "teacher")[1].command()[3:])) == 0
    return out


def present(out):
    return f"table tiny --epochs 2 --seeds 2 --only [tk]* --out {out}"


@by_hand
def test_killed_and_started_again(file, tiny, tmp_path, capsys):
    """The parent dies at once while a run trains, its child lives on; the same command finishes the table."""
    words = f"table tiny --seeds 1 --jobs 2 --out {tmp_path}/out".split()
    parent = subprocess.Popen([sys.executable, str(file), *words], stderr=subprocess.PIPE, text=True)
    assert parent.stderr.readline().startswith("teacher seed 0: started")
    teacher = tmp_path / "out" / "teacher" / "seed-0"
    deadline = time.monotonic() + 120
    while not (teacher / "metrics.jsonl").is_file() or not (teacher / "metrics.jsonl").read_text():
        assert time.monotonic() < deadline, "the teacher never trained"
        time.sleep(0.01)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stderr.close()

    assert main([*words, "--json"]) == 3
    out, err = capsys.readouterr()
    shown = json.loads(out)
    assert err.splitlines()[-1] == "potstill: runs that failed: 2"
    for row in ("teacher", "kd"):
        lines = (tmp_path / "out" / row / "seed-0" / "metrics.jsonl").read_text().splitlines()
        assert [json.loads(line)["epoch"] for line in lines] == [0, 1, 2, 3]
    assert [len(row["seeds"]) for row in shown["rows"]] == [1, 1, 0, 0]
    (why,) = shown["rows"][2]["problems"]
    assert "--lr must be positive, not -1.0" in why
    assert shown["rows"][3]["problems"] == [f"not run: its teacher broken seed 0 failed: {why}"]
    assert [row["problem"] for row in shown["table"]] == ["", "", why, *shown["rows"][3]["problems"]]
    assert why in (tmp_path / "out" / "table.md").read_text()
    assert (tmp_path / "out" / "report.html").is_file()


def test_only_what_is_missing_runs(tiny, finished, tmp_path, capsys):
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("seed-*/*")}
    assert main(f"{present(finished)} --json".split()) == 0
    out, err = capsys.readouterr()
    assert err == ""  # nothing was started
    assert {path: path.stat().st_mtime_ns for path in finished.rglob("seed-*/*")} == before
    shown = json.loads(out)
    assert [row["seeds"] for row in shown["rows"]] == [[0, 1], [0, 1]]
    kd = shown["rows"][1]
    measured = [json.loads((finished / "kd" / f"seed-{i}" / "summary.json").read_text()) for i in (0, 1)]
    values = [summary["learners"]["student"]["last"]["test"]["top1"] for summary in measured]
    assert kd["last"]["values"] == values
    assert [quote["difference"] for quote in kd["published"]] == [kd["best"]["mean"] - 99, kd["last"]["mean"] - 98]
    alone = shown["rows"][0]["last"]["values"]
    assert kd["gain"]["differences"] == [one - other for one, other in zip(values, alone, strict=True)]
    assert shown["gains"][0]["verdict"].startswith(kd["gain"]["verdict"])
    assert shown["foot"]["epochs"] == "shortened to 2 of 4 epochs: not comparable with published values"
    with (finished / "table.csv").open() as table:
        assert [row["row"] for row in csv.DictReader(table)] == ["teacher", "kd"]

    assert main(f"table tiny --epochs 2 --seeds 1 --only teacher --out {finished} --json".split()) == 0
    assert [row["row"] for row in json.loads(capsys.readouterr().out)["table"]] == ["teacher"]
    assert "| kd | 1 |" in (finished / "table.md").read_text()  # the file keeps it


def test_further_columns_are_what_runs_have_recorded(tiny, finished, capsys):
    assert main(f"{present(finished)} --columns ece agreement nll --json".split()) == 0
    teacher, kd = json.loads(capsys.readouterr().out)["rows"]
    runs = [finished / "kd" / f"seed-{seed}" for seed in (0, 1)]
    details = [json.loads((run / "details.json").read_text())["student"] for run in runs]
    agreed = [json.loads((run / "insight.json").read_text())["agreement"]["student"]["teacher"] for run in runs]
    assert kd["columns"]["ece"]["values"] == [found["ece"] for found in details]
    assert kd["columns"]["nll"]["values"] == pytest.approx([found["nll"] for found in details], rel=1e-5)
    assert kd["columns"]["agreement"]["values"] == [found["top1"] for found in agreed]
    assert teacher["columns"]["agreement"] is None
    with (finished / "table.csv").open() as table:
        assert [float(row["ece_mean"]) for row in csv.DictReader(table)] == [
            row["columns"]["ece"]["mean"] for row in (teacher, kd)
        ]


def test_for_people(tiny, finished, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")  # a narrow terminal
    assert main(present(finished).split()) == 0
    report = (finished / "report.html").stat().st_mtime_ns
    assert main(present(finished).split()) == 0
    assert (finished / "report.html").stat().st_mtime_ns == report  # nothing is new
    out = capsys.readouterr().out
    assert "99.00 (a)" in out
    assert "98.00 (b)" in out


def test_dry_run_marks_what_is_there(tiny, finished, tmp_path, capsys):
    assert main([*present(finished).replace("[tk]*", "*").split(), "--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.startswith("# ") for line in lines] == [
        "/teacher/" in line.split("--out")[1] or "/kd/" in line for line in lines
    ]
    assert sum(line.startswith("# ") for line in lines) == 4
    assert len(lines) == 8
    assert "--terms '0.5 * CE' '0.5 * KD(temperature=4)'" in lines[2]
    assert "--milestones 1 " in lines[2]  # 2 of 4 epochs
    assert main(f"table tiny --dry-run --out {tmp_path}/new --seeds 1 --holdout 9 --only kd".split()) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2  # with its teacher
    assert all("--holdout 9" in line and "--milestones 2 " in line and not line.startswith("#") for line in lines)
    assert not (tmp_path / "new").exists()


def test_everything_present_takes_no_torch(finished, file):
    """Nor do the lists: a table that is there answers at once."""
    code = f"""
import sys
from types import ModuleType
sys.argv = ["x"]
source = open({str(file)!r}).read().replace("from torch import nn", "")
exec(compile(source, {str(file)!r}, "exec"), {{"__name__": "tiny", "__file__": {str(file)!r}}})
from potstill.cli import main
assert main({present(finished)!r}.split()) == 0
assert main(["list", "tables"]) == 0
assert not {{"torch", "numpy"}} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | LOCAL)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("words", "message"), [
    ("table tinny", "unknown table 'tinny'; did you mean tiny"),
    ("table kd-zo", "did you mean kd-zoo"),
    ("table tiny --only tech", "did you mean teacher"),
    ("table tiny --seeds 0", "--seeds must be 1 or more, not 0"),
    ("table tiny --seeds 300000", "--seeds must be 1,000 or less, not 300000"),
    ("table tiny --jobs 0", "--jobs must be 1 or more, not 0"),
    ("table tiny --epochs -1", "--epochs must be 1 or more, not -1"),
    ("table tiny --seed 1", "did you mean --seeds"),
    ("table tiny --columns eec", "did you mean ece"),
])  # fmt: skip
def test_bad_input(words, message, tiny, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(words.split()) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_list_tables(capsys):
    assert main(["list", "tables", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["tables"]
    assert list(listed) == [name.replace("_", "-") for name in tables.__all__]
    assert all(entry["rows"] > 1 and entry["shows"].endswith(".") for entry in listed.values())


def test_the_report_has_the_network_that_a_row_means(tmp_path):
    settings = {"data": "digits", "epochs": 1, "batch_size": 600}
    arguments = {"light": "wrn-10-1", "booster": "resnet8", "share": "none"}
    light = Row("rocket", "rocket", arguments, settings, learners=("light",))
    rows = [light, replace(light, name="rocket-booster", learners=("booster",), runs_of="rocket")]
    (run, *_) = expand(rows, 1, tmp_path, {}, None)
    usual = Training(optimizer="sgd", border="reflect")  # of the recipe
    rocket(**arguments, training=replace(usual, **settings, out=run.folder))
    results = collect(rows, expand(rows, 1, tmp_path, {}, None), {})
    made = Table("Rockets.", "Nobody", "digits", "SGD", 1, lambda _: rows)
    files = write_files("rockets", made, tmp_path, results, None, {})
    page = Path(files["report.html"]).read_text()
    for result, spec in zip(results, ("wrn-10-1", "resnet8"), strict=True):
        cost = ps.networks.parameters(ps.networks.create(spec))
        assert result.plain()["parameters"] == cost
        assert f"{cost:,}" in page
