"""Images that a row gets right only with help, gains of classes, and tuning curves."""

import json

import pytest

from potstill.report import find_runs, found_rows, given_rows, write_page
from potstill.report.class_gains import class_changes
from potstill.report.gains import row_gains
from potstill.report.helped import helped, pictured
from potstill.report.rows import ReportRow
from potstill.runs.outcomes import packed

TUNED = {
    "settings": 2,
    "held_out": 60,
    "methods": {
        "KD <b>": {
            "chosen": 0,
            "trials": [
                {
                    "setting": {"temperature": 4.0, "weight": 1.0},
                    "state": "complete",
                    "curve": [20.0, 61.5],
                    "terms": ["KD"],
                },
                {"setting": {"weight": 9.0}, "state": "pruned", "curve": [10.0], "terms": ["9 * KD"]},
            ],
        }
    },
}


def pair(runs) -> list[ReportRow]:
    named = {name: [runs / f"{name}-0", runs / f"{name}-1"] for name in ("alone", "helped")}
    return given_rows(named, None, {"helped": "alone"})[0]


def details(run):
    return json.loads((run / "details.json").read_text())["student"]


@pytest.fixture
def known(runs, edit):
    """Runs of which is known what they got right; returns their folder."""
    common = {*range(10), 60}
    right = {"alone-0": common, "alone-1": common | {10}, "helped-0": {*range(40), 50}, "helped-1": {*range(40)}}
    for name, images in right.items():
        edit(runs / name / "details.json", lambda found, images=images: knows(found["student"], images))
    return runs


def knows(student, images):
    student["outcomes"]["right"] = packed([i in images for i in range(student["n"])])
    for k, one in enumerate(student["classes"]):
        one["correct"] = len(images) if k == 0 else 0


def test_images_are_those_of_the_majority_of_seeds(known):
    rows = pair(known)
    (found,) = helped(rows, row_gains(rows))
    assert found.won == tuple(range(11, 40)), "image 10 was right in one of two seeds alone, 50 in one with help"
    assert found.lost == (60,)


def test_pictures_are_of_those_images_and_at_most_24(known):
    rows = pair(known)
    won = helped(rows, row_gains(rows))
    shown = pictured(rows, won)
    assert [one["index"] for one in shown] == [*range(11, 35)]
    labels = [one["class"] for one in details(known / "alone-0")["classes"]]
    assert {one["class"] for one in shown} <= set(labels)
    assert all(one["pixels"]["shape"] == [8, 8, 3] and one["rows"] == [1] for one in shown)


def test_outcomes_of_other_images_are_not_compared_and_have_no_pictures(known, edit):
    def shuffled(found):
        found["student"]["outcomes"]["labels"] = "0" * 16

    for seed in (0, 1):
        edit(known / f"helped-{seed}" / "details.json", shuffled)
    rows = pair(known)
    assert helped(rows, row_gains(rows)) == []
    for seed in (0, 1):
        edit(known / f"alone-{seed}" / "details.json", shuffled)
    rows = pair(known)
    won = helped(rows, row_gains(rows))
    assert won[0].won != ()
    assert pictured(rows, won) == []


def test_runs_of_before_there_were_outcomes(runs, edit):
    for seed in (0, 1):
        edit(runs / f"alone-{seed}" / "details.json", lambda found: found["student"].pop("outcomes"))
    rows = pair(runs)
    assert helped(rows, row_gains(rows)) == []
    page = write_page(runs / "report.html", "Old", rows, {}).read_text()
    assert 'id="helped"' not in page
    assert 'id="class-gains"' in page


def test_classes_change_by_the_mean_over_the_seeds(runs):
    rows = pair(runs)
    changes = class_changes(rows[1], rows[0])
    ours, theirs = ([details(runs / f"{name}-{s}")["classes"] for s in (0, 1)] for name in ("helped", "alone"))
    for k in range(10):
        expected = sum(one[k]["top1"] - other[k]["top1"] for one, other in zip(ours, theirs, strict=True)) / 2
        assert changes[str(k)] == pytest.approx(expected)


def test_the_page_shows_them_all_and_asks_for_nothing(known, browser):
    (known / "tune.json").write_text(json.dumps(TUNED))
    file = write_page(known / "report.html", "All", pair(known), {}, known / "tune.json")
    assert file.stat().st_size < 200_000
    for width, dark in ((390, True), (1400, False)):
        browser.open(file, width, dark)
        assert browser.complaints() == []
        assert browser.requests() == [file.as_uri()]
        assert browser.run("document.documentElement.scrollWidth") <= width
        assert browser.run("document.querySelectorAll('#helped-images canvas').length") == 24
        told = browser.run("document.querySelector('#helped-images canvas').getAttribute('aria-label')")
        assert told.endswith("helped: right in 2 of 2 seeds; alone in 0 of 2")
        assert browser.run("document.querySelectorAll('#class-gains .change').length") == 10
        assert browser.run("document.querySelectorAll('#tuning-charts .trial').length") == 2
        said = browser.run("document.querySelector('#tuning-charts svg').getAttribute('aria-label')")
        assert said == "KD <b>: 2 settings tried; chosen: weight 1, temperature 4, 61.5 in the end"


@pytest.mark.parametrize("damage", [{"chosen": 2}, {"trials": []}, {"trials": [{"setting": {"weight": "1"}}]}])
def test_a_damaged_tune_json_is_left_out_by_name(runs, damage):
    content = {**TUNED, "methods": {"KD": {**TUNED["methods"]["KD <b>"], **damage}}}
    (runs / "tune.json").write_text(json.dumps(content))
    page = write_page(runs / "report.html", "Damaged", found_rows(find_runs([runs])[0])[0], {}, runs / "tune.json")
    text = page.read_text()
    assert 'id="tuning"' not in text
    assert "tune.json is damaged: " in text
    assert str(runs) not in text
