import json

import pytest

from potstill.report import find_runs, found_rows
from potstill.report.content import content


def made(folder):
    return content(found_rows(find_runs([folder])[0])[0])


def summary(run):
    return json.loads((run / "summary.json").read_text())


def history(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_accuracy_and_cost_are_those_of_the_summaries(runs):
    row = made(runs)["rows"][1]
    tops = [summary(runs / f"helped-{seed}")["learners"]["student"]["last"]["test"]["top1"] for seed in (0, 1)]
    assert row["value"] == pytest.approx(sum(tops) / 2)
    assert row["deviation"] == pytest.approx(abs(tops[0] - tops[1]) / 2**0.5)
    known = summary(runs / "helped-0")["learners"]["student"]
    assert (row["parameters"], row["macs"]) == (known["parameters"], known["macs"])
    assert row["baseline"] == 0


def test_curves_are_those_of_the_metrics(runs):
    seeds = made(runs)["rows"][1]["seeds"]
    for seed, curves in enumerate(seeds):
        records = history(runs / f"helped-{seed}")
        tops = [record["learners"]["student"]["test"]["top1"] for record in records]
        assert curves["series"]["test top-1, %"] == pytest.approx(tops, rel=1e-4)
        values = [record["terms"]["KD student"] for record in records]
        assert curves["series"]["training: KD student"] == pytest.approx(values, rel=1e-4)
    assert [curves["name"] for curves in seeds] == ["seed 0", "seed 1"]


def test_a_terms_part_is_weight_times_value_mean_over_the_seeds(runs):
    rows = made(runs)["rows"]
    parts = rows[1]["loss"]["terms"]
    assert list(parts) == ["CE student", "KD student", "AT student.stage2"]
    both = [history(runs / f"helped-{seed}") for seed in (0, 1)]
    for epoch in (0, 1):
        values = [records[epoch]["terms"]["AT student.stage2"] * 10 for records in both]
        assert parts["AT student.stage2"][epoch] == pytest.approx(sum(values) / 2, rel=1e-4)
    assert rows[2]["loss"] is not None
    assert rows[3]["loss"] is None, "the booster's loss is the light net's"


def test_a_term_may_come_and_go_and_a_seed_may_end_early(runs):
    run = runs / "helped-0"
    (run / "summary.json").unlink()
    first = history(run)[0]
    first["terms"].pop("KD student")
    (run / "metrics.jsonl").write_text(json.dumps(first) + "\n")
    parts = made(runs)["rows"][1]["loss"]["terms"]
    records = history(runs / "helped-1")
    assert parts["KD student"][0] == pytest.approx(records[0]["terms"]["KD student"] * 0.5 / 2, rel=1e-4)
    assert parts["KD student"][1] == pytest.approx(records[1]["terms"]["KD student"] * 0.5, rel=1e-4)


def test_what_is_not_finite_becomes_null(runs):
    file = runs / "helped-0" / "metrics.jsonl"
    records = history(runs / "helped-0")
    records[0]["terms"]["KD student"] = float("inf")
    file.write_text("".join(json.dumps(record) + "\n" for record in records))
    row = made(runs)["rows"][1]
    assert row["seeds"][0]["series"]["training: KD student"][0] is None
    assert row["loss"]["terms"]["KD student"][0] is None


def test_every_teacher_once_and_none_that_has_a_row(runs, edit):
    teachers = made(runs)["teachers"]
    known = summary(runs / "helped-0")["teachers"]["teacher"]
    costs = {key: known[key] for key in ("parameters", "macs")}
    assert teachers == [{"label": "teacher resnet8", "value": known["top1"], **costs}]
    trained = {"epoch": 1, "test": {"top1": known["top1"], "top5": 90.0, "loss": 1.0, "n": 797}}
    edit(runs / "rocket-0" / "summary.json", lambda s: s["learners"]["booster"].update(last=trained))
    assert made(runs)["teachers"] == []


def test_runs_of_before_costs_were_counted(runs, edit):
    for seed in (0, 1):
        edit(runs / f"helped-{seed}" / "summary.json", lambda s: s["learners"]["student"].pop("macs"))
        edit(runs / f"helped-{seed}" / "summary.json", lambda s: s["teachers"]["teacher"].pop("parameters"))
    data = made(runs)
    assert data["rows"][1]["macs"] is None
    assert data["teachers"][0]["parameters"] is None


def test_maps_of_one_run_a_row_with_the_learner_first_and_images_once(runs):
    data = made(runs)
    assert len(data["images"]) == 1
    looks = [row["look"] for row in data["rows"]]
    assert [[network["name"] for network in look["networks"]] for look in looks] == [
        ["student wrn-10-1"],
        ["student wrn-10-1", "teacher resnet8"],
        ["light wrn-10-1", "booster resnet8"],
        ["booster resnet8", "light wrn-10-1"],
    ]
    (runs / "helped-0" / "insight.json").unlink()
    assert made(runs)["rows"][1]["look"]["seed"] == 1
    (runs / "helped-1" / "insight.json").unlink()
    assert made(runs)["rows"][1]["look"] is None


def test_details_are_those_of_the_first_run_that_tells(runs):
    (runs / "helped-0" / "details.json").unlink()
    rows, _ = found_rows([runs / "helped-0", runs / "helped-1"])
    left = json.loads((runs / "helped-1" / "details.json").read_text())["student"]
    (row,) = content(rows)["rows"]
    found = row["details"]
    assert found["run"] == "seed 1"
    assert found["matrix"] == left["confusion"]
    worst = [one["top1"] for one in left["classes"]]
    assert [one[2] for one in found["classes"]] == pytest.approx(sorted(worst), abs=0.01)
    mistakes = [n for label, chosen, n in left["confusion"] if label != chosen]
    assert [n for *_, n in found["pairs"]] == sorted(mistakes, reverse=True)[:15]
    assert sum(one[2] for one in found["bins"]) == left["n"] == found["n"]


def test_of_many_classes_only_the_worst_are_on_the_page(runs, edit):
    def grow(details):
        student = details["student"]
        student.pop("outcomes")
        student["classes"] += [{**student["classes"][0], "class": f"c{k}"} for k in range(990)]
        student["n"] = sum(one["n"] for one in student["classes"])
        student["confusion"] = [[999, 0, student["n"] - 3], [5, 5, 3]]
        student["bins"][0]["n"] += student["n"] - sum(one["n"] for one in student["bins"])
        student["bins"][0] |= {"top1": 1.0, "confidence": 1.0}

    edit(runs / "alone-0" / "details.json", grow)
    rows, _ = found_rows([runs / "alone-0"])
    found = content(rows)["rows"][0]["details"]
    assert (found["matrix"], found["count"], len(found["classes"])) == (None, 1000, 40)
    assert set(found["names"]) == {0, 999}
    assert len(json.dumps(found)) < 10_000
