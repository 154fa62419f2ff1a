"""Gains over baselines in tables: which seeds are paired, which rows are corrected together, and how they read."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
from finished_runs import finish

from potstill.errors import BadInput
from potstill.statistics import Paired, judge
from potstill.tables.columns import COLUMNS
from potstill.tables.plan import Run
from potstill.tables.results import collect
from potstill.tables.row import Row, Table
from potstill.tables.writing import cells, foot, write_table

ALONE = Row("alone", "supervised", {"network": "resnet8"}, {})
OTHER = replace(ALONE, name="other")
HELPED = {name: replace(ALONE, name=name, baseline="alone") for name in ("helps", "spoils", "nothing")}
BESIDE = replace(ALONE, name="beside", baseline="other")
ROWS = [ALONE, OTHER, *HELPED.values(), BESIDE]
TABLE = Table("A table.", "Nobody", "digits", "SGD", 200, lambda budget: ROWS)
VALUES = {
    "alone": (70.0, 70.5, 71.0),
    "other": (60.0, 61.0),
    "helps": (72.0, 72.7, 73.3),
    "spoils": (61.0, 61.4, 62.1),
    "nothing": (70.3, 70.2, 71.1),
    "beside": (62.0, 63.1),
}


def results_of(folder, values=VALUES, rows=ROWS, columns=()):
    runs = [Run(row, seed, folder, {}) for row in rows for seed in range(4)]
    for run in runs:
        found = values[run.row.name]
        if run.seed < len(found) and not run.folder.exists():
            finish(run, student=(found[run.seed], 99.0))  # the best epoch is the same everywhere
    return {result.row.name: result for result in collect(rows, runs, {}, columns)}


@pytest.fixture
def results(tmp_path):
    return results_of(tmp_path)


def test_gains_are_of_the_last_epoch_and_corrected_among_the_rows_of_one_baseline(results):
    judged = judge([Paired.of(*(dict(enumerate(VALUES[name])) for name in (row, "alone"))) for row in HELPED])
    assert [results[row].gain.judged for row in HELPED] == judged
    assert [str(found.verdict) for found in judged] == ["BETTER", "WORSE", "UNDECIDED"]
    (alone,) = judge([Paired.of(*(dict(enumerate(VALUES[name])) for name in ("beside", "other")))])
    assert results["beside"].gain.judged == alone
    assert results["alone"].gain is results["other"].gain is None


def test_seeds_that_only_one_of_them_has_are_left_out(tmp_path):
    results = results_of(tmp_path, VALUES | {"helps": (72.0, 72.7), "spoils": (61.0,), "other": (), "nothing": ()})
    assert results["helps"].gain.judged.paired.seeds == (0, 1)
    shown = {row["row"]: row for row in cells(list(results.values()))}
    assert (shown["spoils"]["gain"], shown["spoils"]["verdict"]) == ("-9.00", "UNDECIDED: a single seed has no spread")
    assert (shown["beside"]["gain"], shown["beside"]["verdict"]) == ("-", "UNDECIDED: no seed that both have")
    assert (shown["nothing"]["gain"], shown["nothing"]["verdict"]) == ("-", "-")  # no run is finished


def test_a_row_that_is_measured_by_something_else_has_no_gain(tmp_path):
    finish(Run(BESIDE, 0, tmp_path, {}), "recall", student=(0.5, 0.5))
    results = results_of(tmp_path, VALUES | {"beside": (1.0,)})
    assert (results["beside"].measure, results["beside"].gain) == ("recall", None)


def test_a_baseline_that_is_no_row_is_named(tmp_path):
    rows = [ALONE, replace(ALONE, name="helps", baseline="alonne")]
    with pytest.raises(BadInput, match="unknown baseline 'alonne'; did you mean alone"):
        results_of(tmp_path, rows=rows)


def test_cells_and_foot(results):
    shown = {row["row"]: row for row in cells(list(results.values()))}
    columns = ("baseline", "gain", "verdict")
    assert [shown["helps"][column] for column in columns] == ["alone", "+2.17 (+1.79 to +2.55)", "BETTER"]
    assert [shown["spoils"][column] for column in columns] == ["alone", "-9.00 (-9.25 to -8.75)", "WORSE"]
    assert shown["nothing"]["verdict"].startswith("UNDECIDED, ")
    assert [shown["alone"][column] for column in columns] == ["-", "-", "-"]
    lines = foot(TABLE, list(results.values()), None, {})
    assert "mean (95 % interval" in lines["gain"]
    assert "Holm's correction over the rows with one baseline" in lines["verdict"]
    alone = [results["alone"]]
    assert not {"gain", "verdict", "baseline"} & {*cells(alone)[0], *foot(TABLE, alone, None, {})}


def test_markdown_csv_and_json_agree(results, tmp_path):
    found = list(results.values())
    files, _ = write_table(tmp_path, "tiny", TABLE, found, foot(TABLE, found, None, {}))
    with Path(files["table.csv"]).open() as file:
        lines = {line["row"]: line for line in csv.DictReader(file)}
    text = Path(files["table.md"]).read_text()
    for row in json.loads(Path(files["table.json"]).read_text())["rows"]:
        gain, line = row["gain"], lines[row["row"]]
        if gain is None:
            assert {line[name] for name in ("baseline", "gain", "verdict", "paired_seeds")} == {""}
            continue
        names = {"gain": "mean", "gain_low": "low", "gain_high": "high", "gain_p": "p", "gain_p_holm": "p_holm"}
        assert all(float(line[name]) == gain[key] for name, key in names.items())
        pair = results[row["row"]].gain.judged
        assert (gain["p"], gain["p_holm"]) == (pair.paired.probability, pair.adjusted)
        assert (line["baseline"], line["verdict"]) == (gain["baseline"], gain["verdict"])
        assert int(line["paired_seeds"]) == len(gain["seeds"]) == len(gain["differences"])
        assert line["further_seeds"] == ("" if gain["further_seeds"] is None else str(gain["further_seeds"]))
        interval = f"{gain['mean']:+.2f} ({gain['low']:+.2f} to {gain['high']:+.2f})"
        assert f"| {gain['baseline']} | {interval} | {gain['verdict']}" in text


def test_what_is_no_number_is_null(tmp_path):
    found = [results_of(tmp_path, VALUES | {"helps": (72.0, float("nan"))})["helps"]]
    files, _ = write_table(tmp_path, "tiny", TABLE, found, {})
    (row,) = json.loads(Path(files["table.json"]).read_text(), parse_constant=pytest.fail)["rows"]
    assert (row["gain"]["differences"], row["gain"]["mean"], row["gain"]["low"]) == ([2.0, None], None, None)
    assert row["gain"]["trouble"] == "seed 1 has no finite number"
    assert (row["last"]["mean"], row["last"]["std"]) == (None, None)
    assert cells(found)[0]["last epoch, %"] == "nan ± nan"


def record(folder, name, content):
    (folder / name).write_text(json.dumps(content))


def test_further_columns(tmp_path):
    values = {"alone": (70.0,), "helps": (71.0, 72.0)}
    rows = [ALONE, HELPED["helps"]]
    results_of(tmp_path, values, rows)
    for seed, ece in enumerate((4.0, 6.0)):
        folder = tmp_path / "helps" / f"seed-{seed}"
        classes = [{"class": "a", "n": 1, "correct": 1, "chosen": 1, "top1": 100.0}]
        bins = [{"low": 0.0, "high": 100.0, "n": 1, "confidence": 90.0, "top1": 100.0}]
        details = {"n": 1, "top1": 100.0, "nll": 0.1, "confidence": 90.0, "ece": ece, "bins": bins}
        record(folder, "details.json", {"student": details | {"classes": classes, "confusion": [[0, 0, 1]]}})
        summary = json.loads((folder / "summary.json").read_text())
        summary["teachers"] = {"teacher": {"top1": 80.0}}
        summary["learners"]["student"]["last"]["test"]["loss"] = 0.5 + seed
        record(folder, "summary.json", summary)
    agreed = {other: {"top1": top1, "kl": 0.1, "n": 9} for other, top1 in {"teacher": 90.0, "peer": 10.0}.items()}
    record(folder, "insight.json", {"agreement": {"student": agreed}, "images": [], "predictions": {}, "attention": {}})

    results = list(results_of(tmp_path, values, rows, tuple(COLUMNS)).values())
    alone, helped = cells(results)
    headings = ("ECE, points", "NLL, nats", "agreement with the teacher, %")
    assert [alone[heading] for heading in headings] == ["-", "-", "-"]
    assert [helped[heading] for heading in headings] == ["5.00 ± 1.41", "1.0000 ± 0.7071", "90.00"]
    files, _ = write_table(tmp_path, "tiny", TABLE, results, {})
    with Path(files["table.csv"]).open() as file:
        first, second = csv.DictReader(file)
    assert (first["ece_mean"], second["ece_mean"], second["agreement_mean"]) == ("", "5.0", "90.0")
    assert results[1].plain()["columns"]["nll"]["values"] == [0.5, 1.5]
    assert headings[0] not in cells(list(results_of(tmp_path, values, rows).values()))[0]


def test_the_loss_of_what_is_not_measured_by_accuracy_is_no_likelihood(tmp_path):
    run = finish(Run(ALONE, 0, tmp_path, {}), "map", student=(50.0, 60.0))
    summary = json.loads((run.folder / "summary.json").read_text())
    summary["learners"]["student"]["last"]["test"]["loss"] = 0.5
    record(run.folder, "summary.json", summary)
    (result,) = collect([ALONE], [run], {}, ("nll",))
    assert result.columns == {"nll": None}


def test_costs_are_told_as_so_many_times_the_baselines(tmp_path):
    rows, values = [ALONE, HELPED["helps"]], {"alone": (70.0, 71.0), "helps": (71.0,)}
    results_of(tmp_path, values, rows)
    for row, seed, seconds, mebibytes in (("alone", 0, (9.0, 2.0, 2.0), 100), ("helps", 0, (9.0, 3.0, 3.0), 150)):
        folder = tmp_path / row / f"seed-{seed}"
        epoch = {"terms": {}, "weights": {}, "images_per_second": 1.0, "lr": 0.1, "learners": {}}
        lines = [json.dumps({**epoch, "epoch": i, "seconds": value}) for i, value in enumerate(seconds)]
        (folder / "metrics.jsonl").write_text("".join(f"{line}\n" for line in lines))
        summary = json.loads((folder / "summary.json").read_text())
        record(folder, "summary.json", summary | {"memory": {"peak_bytes": mebibytes * 2**20, "of": "process"}})
    alone, helped = results_of(tmp_path, values, rows, ("memory", "time")).values()
    assert (alone.times_baseline, helped.times_baseline) == ({}, {"memory": 1.5, "time": 1.5})
    first, second = cells([alone, helped], quotes=False)
    assert (first["time an epoch, s"], second["time an epoch, s"]) == ("2.00", "3.00 (1.50 x)")
    assert (first["memory, MiB"], second["memory, MiB"]) == ("100", "150 (1.50 x)")
    assert helped.plain()["times_baseline"] == {"time": 1.5, "memory": 1.5}
    assert "published, %" not in first
    assert "costs" in foot(TABLE, [alone, helped], None, {})
    assert "costs" not in foot(TABLE, [alone], None, {})
    assert "published" not in foot(replace(TABLE, quotes=False), [alone, helped], None, {})
