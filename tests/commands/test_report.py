import json

import pytest

from potstill.cli import main


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Two seeds of one configuration and one of another, below one folder."""
    folder = tmp_path_factory.mktemp("trained")
    for name, flags in {"a-0": "--seed 0", "a-1": "--seed 1", "b": "--lr 0.01"}.items():
        line = f"supervised --network wrn-10-1 --data digits --epochs 1 --batch-size 500 {flags} --out {folder}/{name}"
        assert main(line.split()) == 0
    return folder


def report(line, capsys):
    assert main(["report", *line.split(), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_folder_of_runs(trained, capsys):
    result = report(str(trained), capsys)
    assert result == {"report": f"{trained}/report.html", "rows": 2, "runs": 3, "left_out": {}}
    page = (trained / "report.html").read_text()
    assert "<h1>Runs on digits</h1>" in page
    assert "lr 0.1" in page


def test_some_runs_a_title_and_another_place(trained, tmp_path, capsys):
    result = report(f"{trained}/a-0 {trained}/b --out {tmp_path}/mine.html --title Mine", capsys)
    assert (result["report"], result["rows"], result["runs"]) == (f"{tmp_path}/mine.html", 2, 2)
    assert "<h1>Mine</h1>" in (tmp_path / "mine.html").read_text()


def test_for_people(trained, tmp_path, capsys):
    assert main(["report", str(trained), "--out", f"{tmp_path}/r.html"]) == 0
    assert "r.html" in capsys.readouterr().out


def test_a_broken_run_is_named_and_the_rest_goes_on(trained, tmp_path, capsys):
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "metrics.jsonl").write_text("{")
    result = report(f"{trained} {tmp_path} --out {tmp_path}/r.html", capsys)
    assert result["left_out"] == {f"{tmp_path}/torn": "config.json is missing"}
    assert result["runs"] == 3
    assert "config.json is missing" in (tmp_path / "r.html").read_text()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{trained}/a-2", "did you mean"),
        ("{tmp}", "no run folder in"),
        ("{tmp}/torn", "torn: config.json is missing"),
        ("", "report needs a folder"),
        ("{trained} --tilte x", "did you mean --title"),
        ("{trained} --out {tmp}/no/where.html", "where.html"),
    ],
)
def test_bad_input_is_one_line(trained, tmp_path, capsys, line, message):
    if "torn" in line:
        (tmp_path / "torn").mkdir()
        (tmp_path / "torn" / "summary.json").write_text("{}")
    before = sorted(tmp_path.rglob("*"))
    assert main(["report", *line.format(trained=trained, tmp=tmp_path).split()]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
    assert len(captured.err.splitlines()) == 1
    assert sorted(tmp_path.rglob("*")) == before
