"""Verdicts on the page: the table's own where baselines were told, and none where rows were trained otherwise."""

import json

import pytest

from potstill.report import find_runs, found_rows, given_rows, write_page
from potstill.report.content import content
from potstill.report.gains import row_gains
from potstill.statistics import Paired, judge


def rows_of(folder):
    return found_rows(find_runs([folder])[0])[0]


def top1(run):
    return json.loads((run / "summary.json").read_text())["learners"]["student"]["last"]["test"]["top1"]


def by_seed(runs, name):
    return {seed: top1(runs / f"{name}-{seed}") for seed in (0, 1)}


def test_a_gain_is_paired_by_seed_and_judged_as_in_a_table(runs):
    named = {name: [runs / f"{name}-0", runs / f"{name}-1"] for name in ("alone", "helped")}
    rows, _ = given_rows(named, None, {"helped": "alone"})
    (gain,) = row_gains(rows)
    (expected,) = judge([Paired.of(by_seed(runs, "helped"), by_seed(runs, "alone"))])
    assert (gain.row, gain.baseline, gain.judged) == (1, 0, expected)
    (plain,) = content(rows, [gain])["gains"]
    assert plain["mean"] == pytest.approx(expected.paired.mean)
    assert plain["interval"] == expected.paired.interval()
    assert plain["said"].endswith(str(expected))


def test_a_baseline_that_was_found_counts_if_it_was_trained_alike(runs, edit):
    rows = rows_of(runs)
    assert [(gain.row, gain.baseline) for gain in row_gains(rows)] == [(1, 0), (2, 0)]
    for seed in (0, 1):
        edit(runs / f"helped-{seed}" / "config.json", lambda config: config["arguments"].update(lr=0.5))
    assert [gain.row for gain in row_gains(rows_of(runs))] == [2]
    named = {name: [runs / f"{name}-0", runs / f"{name}-1"] for name in ("alone", "helped")}
    assert len(row_gains(given_rows(named, None, {"helped": "alone"})[0])) == 1, "told, it counts"


def test_other_first_weights_are_no_like(runs, edit):
    for seed in (0, 1):
        edit(runs / f"helped-{seed}" / "config.json", lambda c: c["arguments"].update(student_weights="x.safetensors"))
    assert [gain.row for gain in row_gains(rows_of(runs))] == [2]


def test_the_page_says_it_in_words_and_draws_a_line_a_row(runs, browser):
    rows = rows_of(runs)
    file = write_page(runs / "report.html", "Gains", rows, {})
    for width, dark in ((390, True), (1200, False)):
        browser.open(file, width, dark)
        assert browser.complaints() == []
        assert browser.run("document.documentElement.scrollWidth") <= width
        assert browser.run("document.querySelectorAll('#forest-chart .gain').length") == 2
        told = browser.run("document.querySelector('#forest-chart svg').getAttribute('aria-label')")
        gain, _ = row_gains(rows)
        assert told.startswith("gains over the baseline: distill ")
        assert str(gain.judged) in told
        assert str(gain.judged) in browser.run("document.querySelector('#gains table').textContent")


def test_without_a_baseline_there_is_no_such_part(runs):
    rows, _ = found_rows([runs / "rocket-0", runs / "alone-0"])
    assert (
        'id="gains"'
        not in write_page(runs / "report.html", "Alone", [row for row in rows if row.alone], {}).read_text()
    )
