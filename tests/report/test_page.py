import json
import re
import subprocess
import sys
from html import escape
from statistics import mean, stdev

import pytest

from potstill.errors import BadInput
from potstill.report import find_runs, found_rows, write_page, write_report


def write(folder, title="Title"):
    rows, left_out = found_rows(find_runs([folder])[0])
    return write_page(folder / "report.html", title, rows, left_out).read_text()


def last(run, learner, which="last"):
    test = json.loads((run / "summary.json").read_text())["learners"][learner][which]["test"]
    return test["top1"] if "top1" in test else 100 * test["recall"]


def spread(values):
    return f"{mean(values):.2f} ± {stdev(values):.2f}"


def test_rows_that_the_caller_names(runs):
    named = {"alone": [runs / "alone-0", runs / "alone-1"], 'launched <&">': [runs / "rocket-0"]}
    file = write_report(runs / "named.html", "Title", named)
    assert file == runs / "named.html"
    page = file.read_text()
    for which in ("last", "best"):
        assert spread([last(runs / f"alone-{seed}", "student", which) for seed in (0, 1)]) in page
    assert f"<td>{last(runs / 'rocket-0', 'light'):.2f}</td>" in page
    assert "launched &lt;&amp;&quot;&gt;" in page
    assert 'launched <&">' not in page


def test_says_what_the_runs_were(runs):
    page = write(runs, "Helped & alone")
    assert "<h1>Helped &amp; alone</h1>" in page
    assert "digits · 2 epochs · 4 rows from 5 runs · 797 test images" in page
    config = json.loads((runs / "alone-0" / "config.json").read_text())
    footer = page.partition("<footer>")[2].partition("</footer>")[0]
    commit = (config["commit"] or "unknown")[:10]
    for said in (config["device"], f"torch {config['versions']['torch']}", "python", commit):
        assert said in footer
    assert str(runs) not in page, "where the runs lay is nobody's business"
    assert "Left out" not in page


def test_agreement_and_memory(runs):
    page = write(runs)
    found = [json.loads((runs / f"helped-{seed}" / "insight.json").read_text()) for seed in (0, 1)]
    pairs = [insight["agreement"]["student"]["teacher"] for insight in found]
    assert spread([pair["top1"] for pair in pairs]) in page
    assert f"{mean(pair['kl'] for pair in pairs):.4f}" in page
    memory = [json.loads((runs / f"helped-{seed}" / "summary.json").read_text())["memory"] for seed in (0, 1)]
    assert f"{max(m['peak_bytes'] for m in memory) / 2**30:.2f} GiB (process)" in page


def test_the_data_cannot_end_its_script(runs):
    lines = (runs / "helped-0" / "metrics.jsonl").read_text()
    (runs / "helped-0" / "metrics.jsonl").write_text(lines.replace("KD student", "</script><script>alert(1)"))
    page = write(runs, "</script>${data}")
    assert page.count("</script>") == 2
    assert "alert(1)" in page
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert "</script><script>alert(1)" in json.loads(data)["rows"][1]["loss"]["terms"]
    assert f"<h1>{escape('</script>${data}')}</h1>" in page


def test_needs_nothing_from_elsewhere(runs):
    page = write(runs)
    assert not re.search(r"\bsrc=|@import|url\((?!#)", page.partition('id="data"')[0])
    links = re.findall(r'href="([^"]+)"', page)
    papers = {f"https://arxiv.org/abs/{number}" for number in ("1612.03928", "1706.04599")}
    assert set(links) == {"data:,", *papers}  # citations to be clicked, not loaded
    assert not re.search(r"fetch\(|XMLHttpRequest|import\(", page)


def test_broken_and_unfinished_runs_are_named(runs):
    (runs / "helped-0" / "summary.json").unlink()
    (runs / "rocket-0" / "config.json").write_text("{")
    page = write(runs)
    assert "seed 0: unfinished, epoch 2 of 2, not in the mean" in page
    assert f"<td>{last(runs / 'helped-1', 'student'):.2f}</td>" in page
    assert "<h2>Left out</h2>" in page
    assert "<td>runs/rocket-0</td><td>config.json is damaged" in page
    (runs / "helped-1" / "summary.json").unlink()
    page = write(runs)
    assert "seed 0: unfinished, epoch 2 of 2<" in page, "with no finished seed the unfinished ones are the mean"


def test_nothing_to_show_says_why(runs):
    for run in runs.iterdir():
        (run / "config.json").unlink()
    with pytest.raises(BadInput, match=r"no run to report; .*alone-0: config.json is missing"):
        write(runs)
    assert not (runs / "report.html").exists()


def test_best_epochs_say_what_chose_them(runs, edit):
    assert "chosen on\nthe test images themselves." in write(runs)
    edit(runs / "rocket-0" / "summary.json", lambda summary: summary.update(best_chosen_on="holdout"))
    assert "chosen on\nheld-out training images and the test images themselves." in write(runs)


def test_a_page_needs_no_torch(runs):
    code = f"""
import sys
from pathlib import Path
from potstill.report import write_report
write_report(Path({str(runs / "small.html")!r}), "Title", {{"row": [Path({str(runs / "alone-0")!r})]}})
assert not {{"torch", "numpy"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def cells(page):
    """The lines of the table of results."""
    body = page.partition("<tbody>")[2].partition("</tbody>")[0]
    return [re.findall(r"<td>(.*?)</td>", line) for line in body.split("<tr>")[1:]]


def test_another_number_may_head_the_runs(runs, measure):
    for run in runs.iterdir():
        measure(run, lambda test: {"recall": test["top1"] / 100, "n": test["n"]})
    page = write(runs)
    assert '<th scope="col">last epoch, recall</th>' in page
    assert "Recall on the test images, mean" in page
    values = [last(runs / f"alone-{seed}", "student") for seed in (0, 1)]
    assert cells(page)[0][2] == f"{mean(values) / 100:.4f} ± {stdev(values) / 100:.4f}"


def test_a_network_that_is_not_measured(runs, measure):
    measure(runs / "rocket-0", lambda test: {})
    page = write(runs)
    assert [line[2:4] for line in cells(page)[2:]] == [["-", "-"]] * 2
    assert "± " in cells(page)[0][2]
    for run in runs.iterdir():
        if run.is_dir():
            measure(run, lambda test: {})
    page = write(runs)
    assert [line[2:4] for line in cells(page)] == [["-", "-"]] * 4
    assert "4 rows from 5 runs</p>" in page, "nobody says how many images were measured"


def test_rows_of_several_measures_say_which(runs, measure):
    measure(runs / "rocket-0", lambda test: {"recall": 0.25})
    page = write(runs)
    assert '<th scope="col">last epoch</th>' in page
    assert cells(page)[2][2] == "0.2500 (recall)"
    assert cells(page)[0][2].endswith(" (top-1, %)")
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert [row["value"] is None for row in json.loads(data)["rows"]] == [False, False, True, True]
