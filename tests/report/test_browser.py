"""The report as a reader has it: opened, clicked and pointed at in a real browser."""

import json
import re

import pytest

from potstill.report import find_runs, found_rows, write_page

NASTY = "</script><b>&\"row' <!-- $title"
LONG = "a-word-that-goes-on-for-ever-" * 5


@pytest.fixture(scope="module")
def report(all_runs, tmp_path_factory):
    file = tmp_path_factory.mktemp("report") / "report.html"
    return write_page(file, "A report", *found_rows(find_runs([all_runs])[0]))


def shown(browser, selector):
    return browser.run(f"document.querySelectorAll({json.dumps(selector)}).length")


def choose(browser, select, value):
    element = f"document.getElementById({json.dumps(select)})"
    browser.run(f"{element}.value = {json.dumps(value)}; {element}.dispatchEvent(new Event('change')); 0")


def centre(browser, selector, nth=0):
    """The middle of an element, which is scrolled to first."""
    return browser.run(f"""(() => {{
        const box = document.querySelectorAll({json.dumps(selector)})[{nth}];
        box.scrollIntoView({{block: "center"}});
        const place = box.getBoundingClientRect();
        return [place.left + place.width / 2, place.top + place.height / 2];
    }})()""")


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [390, 600, 1200])
def test_loads_without_a_word_on_the_console_or_a_request(browser, report, width, dark):
    browser.open(report, width, dark)
    assert browser.complaints() == []
    assert browser.requests() == [report.as_uri()]
    assert browser.run("document.documentElement.scrollWidth") <= width, "the page itself must not scroll sideways"
    background = browser.run("getComputedStyle(document.body).backgroundColor")
    assert (sum(json.loads(f"[{background[4:-1]}]")) < 200) == dark
    assert shown(browser, "#curves path[data-row]") == 6  # a line a seed: two, two, and two learners of one
    assert shown(browser, "#scatter .point") == 10  # four rows and a teacher, twice
    assert shown(browser, "#shares .chart svg") == 2
    assert shown(browser, "#looks canvas") == 24  # six images; alone, helped and teacher


def test_a_rows_box_hides_and_shows_its_lines(browser, report):
    browser.open(report)
    box = "#legend label[data-row='1'] input"
    browser.run(f"document.querySelector({json.dumps(box)}).click()")
    assert shown(browser, "#curves path[data-row='1']") == 0
    assert shown(browser, "#curves path[data-row='0']") == 2
    assert shown(browser, "#scatter .point") == 8
    browser.run(f"document.querySelector({json.dumps(box)}).click()")
    assert shown(browser, "#curves path[data-row='1']") == 2
    browser.run("document.getElementById('none').click()")
    assert shown(browser, "#curves path[data-row]") == 0
    browser.run("document.getElementById('all').click()")
    assert shown(browser, "#curves path[data-row]") == 6
    assert browser.complaints() == []


def test_pointing_tells_row_seed_epoch_and_value(browser, report):
    browser.open(report)
    told = "document.getElementById('tooltip').hidden ? null : document.getElementById('tooltip').textContent"
    assert browser.run(told) is None
    browser.hover(*centre(browser, "#curves-chart svg"))
    first, second, third = browser.run(told).split("\n")
    assert first in browser.run("page.rows.map((row) => row.label)")
    assert second.startswith("seed ")
    assert ", epoch " in second
    assert third.startswith("test top-1, %: ")
    browser.hover(*centre(browser, "#scatter .point"))
    assert "\ntest top-1, %: " in browser.run(told)
    browser.hover(*centre(browser, "#shares .chart svg"))
    assert "KD student: " in browser.run(told)
    browser.hover(1, 1)
    assert browser.run(told) is None
    assert browser.complaints() == []


def test_other_measures_and_the_fitted_axis(browser, report):
    browser.open(report)
    names = browser.run("[...document.getElementById('measure').options].map((option) => option.value)")
    assert {"test top-1, %", "test loss, nats", "training: KD student"} <= set(names)
    for name in names:
        choose(browser, "measure", name)
        assert shown(browser, "#curves path[data-row]") > 0
    before = browser.run("document.querySelector('#curves path[data-row]').getAttribute('d')")
    browser.run("document.getElementById('zoom').click()")
    assert browser.run("document.querySelector('#curves path[data-row]').getAttribute('d')") != before
    assert browser.complaints() == []


def test_sorting_the_table(browser, report):
    browser.open(report)
    tops = "[...document.querySelectorAll('#sortable tbody tr')].map((row) => parseFloat(row.cells[2].textContent))"
    for expected in (lambda values: sorted(values, reverse=True), sorted):
        browser.run("document.querySelectorAll('#sortable th')[2].click()")
        values = browser.run(tops)
        assert values == expected(values)
    assert len(set(values)) > 1


def test_maps_of_every_row_and_stage(browser, report):
    browser.open(report)
    pixels = "[...document.querySelectorAll('#looks canvas')].map((canvas) => canvas.width)"
    for stage, size in (("stage1", 8), ("stage3", 2)):
        choose(browser, "look-stage", stage)
        assert browser.run(pixels) == [8] * 6 + [size] * 18
    for row, networks in enumerate((1, 3, 3, 2)):  # alone; with teacher; light, beside the one alone; booster
        choose(browser, "look-row", row)
        assert shown(browser, "#looks canvas") == 6 * (1 + networks)
    assert browser.complaints() == []


def test_classes_confusions_and_calibration_of_every_row(browser, report, all_runs):
    browser.open(report, 390)
    rows = browser.run("[...document.getElementById('detail-row').options].map((option) => +option.value)")
    assert rows == [0, 1, 2, 3]
    for row in rows:
        choose(browser, "detail-row", row)
        found = browser.run(f"page.rows[{row}].details")
        assert shown(browser, "#class-list tbody tr") == len(found["classes"]) == 10
        assert shown(browser, "#reliability-chart .bin") == len(found["bins"]) > 0
        assert shown(browser, "#matrix-chart .cell") == len(found["matrix"])
        assert f"calibration error {found['ece']:.2f} points" in browser.run(
            "document.getElementById('details-facts').textContent"
        )
    assert browser.run("document.documentElement.scrollWidth") <= 390
    told = "document.getElementById('tooltip').textContent"
    browser.hover(*centre(browser, "#reliability-chart .bin"))
    assert "mean probability " in browser.run(told)
    browser.hover(*centre(browser, "#matrix-chart .cell"))
    label, chosen, n = browser.run("page.rows[3].details.matrix[0]")
    assert browser.run(told).startswith(f"images of {label}\ntaken for {chosen}: {n} (")
    assert browser.complaints() == []


def test_whatever_a_name_holds_is_only_text(browser, runs, edit):
    edit(runs / "helped-0" / "config.json", lambda config: config["arguments"].update(student=NASTY))
    lines = (runs / "helped-0" / "metrics.jsonl").read_text()
    (runs / "helped-0" / "metrics.jsonl").write_text(lines.replace("KD student", "<b>KD"))
    edit(runs / "helped-0" / "details.json", lambda details: details["student"]["classes"][3].update({"class": NASTY}))
    (runs / "broken<b>").mkdir()
    (runs / "broken<b>" / "config.json").write_text("{")
    file = write_page(runs / "report.html", NASTY, *found_rows(find_runs([runs])[0]))
    browser.open(file)
    assert browser.complaints() == []
    assert browser.run("document.title") == NASTY
    assert browser.run("document.querySelector('h1').textContent") == NASTY
    assert shown(browser, "b") == 0
    text = browser.run("document.body.textContent")
    for name in (NASTY, "<b>KD", "broken<b>"):
        assert name in text


def test_a6_what_a_screen_would_obey_is_spelled_out_and_a_long_name_breaks(browser, runs, edit):
    odd = f"{LONG}\u202e\x1b[31m\udcff\u2028 ' onload=alert(1) x='"
    edit(runs / "helped-0" / "config.json", lambda config: config["arguments"].update(student=odd))
    edit(runs / "helped-0" / "config.json", lambda config: config.update(device=f"<i>{odd}", commit=odd))
    (runs / f"broken{chr(0x202E)}x").mkdir()
    (runs / f"broken{chr(0x202E)}x" / "config.json").write_text("{")
    file = write_page(runs / "report.html", odd, *found_rows(find_runs([runs])[0]))
    for width in (390, 1400):
        browser.open(file, width)
        assert browser.complaints() == []
        assert browser.run("document.documentElement.scrollWidth") <= width
    text = browser.run("document.body.innerText")
    assert r"\u202e\x1b[31m\udcff\u2028 ' onload=alert(1)" in text
    assert "broken\\u202ex" in text
    assert not {"\u202e", "\x1b", "\u2028"} & set(text)
    assert shown(browser, "[onload], i[style*=alert]") == 0


def test_the_legend_speaks_of_hollow_marks_where_there_are_some(browser, report, runs):
    for file, hollow in (
        (report, True),
        (write_page(runs / "one.html", "One", *found_rows([runs / "alone-0"])), False),
    ):
        browser.open(file)
        assert (shown(browser, "#scatter .point[data-row='teacher']") > 0) == hollow
        assert ("hollow marks are teachers" in browser.run("document.body.innerText")) == hollow


def test_the_fitted_axis_holds_the_second_half_of_short_rows_too(browser, report):
    """A row of four epochs beside one of twelve is seen, though it stays below what the long one ends with."""
    browser.open(report)
    values = {0: [10 + 7 * epoch for epoch in range(12)], 1: [1, 2, 3, 4]}
    for row, series in values.items():
        browser.run(f"page.rows[{row}].seeds.forEach((seed) => {{ seed.series['test top-1, %'] = {series} }})")
    browser.run("document.getElementById('none').click(); document.querySelectorAll('#legend input')[0].click(); 0")
    browser.run("document.querySelectorAll('#legend input')[1].click(); document.getElementById('zoom').click(); 0")
    paths = browser.run(
        "[...document.querySelectorAll('#curves path[data-row]')].map((line) => line.getAttribute('d'))"
    )
    lowest = {float(y) for path in paths for y in re.findall(r"[ML][-\d.]+ ([-\d.]+)", path)[-1:]}
    assert max(lowest) <= 340 - 40, "the end of each line is inside the axes"


def test_one_epoch_one_row_and_nothing_recorded(browser, runs, edit):
    """The smallest page: no insight, no costs, an unfinished run with one epoch."""
    run = runs / "alone-0"
    for name in ("insight.json", "summary.json"):
        (run / name).unlink()
    lines = (run / "metrics.jsonl").read_text().splitlines(keepends=True)
    (run / "metrics.jsonl").write_text(lines[0])
    browser.open(write_page(runs / "report.html", "One", *found_rows([run])))
    assert browser.complaints() == []
    text = browser.run("document.body.innerText")
    assert "unfinished, epoch 1 of 2" in text
    assert "None of these runs recorded it: a single network, or no insight.json." in text
    assert "None of these runs recorded it (no insight.json)." in text
    assert "None of these runs recorded it (no details.json)." in text
    assert "1 of 1 networks are not shown: their runs did not count their multiply-adds." in text
    assert shown(browser, "#curves path[data-row]") == 1


def test_negative_and_missing_values_leave_gaps(browser, runs):
    run = runs / "helped-0"
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    records[0]["terms"]["KD student"] = float("nan")
    records[1]["terms"]["KD student"] = -3.0
    (run / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    browser.open(write_page(runs / "report.html", "Gaps", *found_rows([run])))
    assert browser.complaints() == []
    paths = browser.run("[...document.querySelectorAll('#shares .band')].map((path) => path.getAttribute('d'))")
    assert len(paths) == 3
    assert not any("NaN" in path for path in paths)
    assert all(float(number) >= 0 for path in paths for number in re.findall(r"[-\d.]+", path))
