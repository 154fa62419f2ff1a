"""Numbers, spreads and differences, the same in every format."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
from finished_runs import finish

from potstill.tables.plan import Run
from potstill.tables.published import Published
from potstill.tables.results import collect
from potstill.tables.row import Row, Table
from potstill.tables.writing import cells, foot, write_table

BEST = Published(80.0, "Zoo README", "best test epoch, 1 run", "")
LAST = Published(81.5, "A paper", "last epoch", "https://example.org")
ROW = Row("kd", "supervised", {"network": "resnet8"}, {}, published=(BEST, LAST))
PEERS = Row("dml", "supervised", {"network": "resnet8"}, {}, learners=("a", "b"))
TABLE = Table("A table.", "Nobody", "digits", "SGD", 200, lambda budget: [ROW, PEERS])


@pytest.fixture
def results(tmp_path):
    runs = [finish(Run(ROW, seed, tmp_path, {}), student=pair) for seed, pair in enumerate([(80, 81), (82, 84)])]
    runs += [finish(Run(PEERS, 0, tmp_path, {}), a=(70, 71), b=(69, 75)), Run(PEERS, 1, tmp_path, {})]
    return collect([ROW, PEERS], runs, {"dml seed 1": "out of memory"})


def test_means_spreads_and_differences(results):
    kd, dml = results
    assert (kd.seeds, kd.parameters, kd.last.mean, kd.best.mean) == ((0, 1), 1234, 81, 82.5)
    assert kd.last.std == pytest.approx(2**0.5)  # of the sample
    assert kd.difference(BEST) == 2.5  # our best epoch against their best epoch
    assert kd.difference(LAST) == -0.5  # our last against their last
    assert (dml.last.mean, dml.best.mean, dml.last.std) == (69, 75, None)  # the better peer, by its best epoch
    assert dml.problems == ("out of memory",)


def test_cells(results):
    first, second = cells(results)
    assert first == {
        "row": "kd", "seeds": "2", "parameters": "1,234", "last epoch, %": "81.00 ± 1.41",
        "best epoch, %": "82.50 ± 2.12",
        "published, %": "80.00 (a), 81.50 (b)", "difference": "+2.50, -0.50", "problem": "",
    }  # fmt: skip
    assert second["last epoch, %"] == "69.00"
    assert (second["published, %"], second["difference"], second["problem"]) == ("-", "-", "out of memory")
    assert "problem" not in cells(results[:1])[0]


def test_a_row_without_a_finished_run(tmp_path):
    (result,) = collect([ROW], [Run(ROW, 0, tmp_path, {})], {})
    row = cells([result])[0]
    assert (row["seeds"], row["last epoch, %"], row["difference"]) == ("0", "-", "-, -")
    assert row["published, %"] == "80.00 (a), 81.50 (b)"


def test_rows_that_are_measured_by_something_else(tmp_path):
    finished = finish(Run(ROW, 0, tmp_path, {}), "recall", student=(0.25, 0.5))
    recall = collect([ROW], [finished], {})
    assert [cells(recall)[0][f"{which} epoch, recall"] for which in ("last", "best")] == ["0.2500", "0.5000"]
    assert foot(TABLE, recall, None, {})["accuracies"].startswith("recall of the test images: ")
    both = recall + collect([PEERS], [finish(Run(PEERS, 0, tmp_path, {}), a=(70, 71), b=(69, 75))], {})
    assert [row["last epoch"] for row in cells(both)] == ["0.2500 (recall)", "69.00 (top-1, %)"]


def test_a_network_that_is_not_measured(tmp_path):
    results = collect([ROW], [finish(Run(ROW, 0, tmp_path, {}), student=(None, None))], {})
    row = cells(results)[0]
    assert (row["seeds"], row["last epoch, %"], row["best epoch, %"], row["difference"]) == ("1", "-", "-", "-, -")
    mixed = collect([PEERS], [finish(Run(PEERS, 0, tmp_path, {}), a=(None, None), b=(69, 75))], {})
    assert cells(mixed)[0]["last epoch, %"] == "69.00"
    write_table(tmp_path, "tiny", TABLE, results + mixed, foot(TABLE, results, None, {}))


def test_foot(results):
    lines = foot(TABLE, results, None, {})
    assert lines["commits"] == "abc (3 runs)"
    assert lines["seeds"] == "0, 1"
    assert lines["published"].endswith("(a) Zoo README: best test epoch, 1 run; (b) A paper: last epoch")
    assert lines["epochs"] == "200"
    assert "holdout" not in lines
    shortened = foot(TABLE, results, 2, {"holdout": 500, "images": 2000, "test_images": 300})
    assert shortened["epochs"] == "shortened to 2 of 200 epochs: not comparable with published values"
    assert "500 held-out training images" in shortened["holdout"]
    assert shortened["images"].startswith("trained on 2000 of the training images only")
    assert shortened["test images"].startswith("measured on 300 of the test images only")


def test_markdown_csv_and_json_agree(results, tmp_path):
    lines = foot(TABLE, results, None, {})
    files, changed = write_table(tmp_path, "tiny", TABLE, results, lines)
    assert changed
    content = json.loads(Path(files["table.json"]).read_text())
    with Path(files["table.csv"]).open() as file:
        table = list(csv.DictReader(file))
    text = Path(files["table.md"]).read_text()
    body = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")][2:]
    for row, line, shown in zip(content["rows"], table, body, strict=True):
        assert row["row"] == line["row"] == shown[0]
        assert len(row["seeds"]) == int(line["seeds"]) == int(shown[1])
        for which, column in (("last", 3), ("best", 4)):
            assert row[which]["mean"] == float(line[f"{which}_mean"])
            spread = "" if row[which]["std"] is None else f" ± {row[which]['std']:.2f}"
            assert shown[column] == f"{row[which]['mean']:.2f}{spread}"
        differences = [quote["difference"] for quote in row["published"]]
        assert ";".join(map(str, differences)) == line["difference"]
        assert (", ".join(f"{d:+.2f}" for d in differences) or "-") == shown[6]
    assert table[0]["protocol"] == "best test epoch, 1 run;last epoch"
    assert all(f"- {name}: {line}" in text for name, line in lines.items())

    before = Path(files["table.json"]).stat().st_mtime_ns
    assert not write_table(tmp_path, "tiny", TABLE, results, lines)[1]
    assert Path(files["table.json"]).stat().st_mtime_ns == before
    assert write_table(tmp_path, "tiny", TABLE, [replace(results[0], problems=("why",)), results[1]], lines)[1]
