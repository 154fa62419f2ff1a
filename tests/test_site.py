"""The documentation as a site: built strictly, with its notebooks run; a fault of a page stops it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import potstill as ps

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))
GOOD = """\
# Title

[code](src/code.py), [folder](src), [record](record.json), [page](docs/page.md#a-heading)
"""
BAD = """\
# Page

## A heading

[no page](nowhere.md), [no heading](page.md#no-such), [no file](../src/other.py)
"""


def build(source, out):
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-c", str(ROOT / "website"), source, out]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def test_it_builds_strictly_and_asks_nothing_of_others(tmp_path):
    done = build(ROOT, tmp_path)
    assert done.returncode == 0, done.stderr
    pages = {path.relative_to(tmp_path).as_posix(): path.read_text() for path in tmp_path.rglob("*.html")}
    for name, text in pages.items():
        if not name.endswith("report.html"):
            fetched = re.findall(r'<(?:script|img|iframe)[^>]* src="(http[^"]+)|<link[^>]* href="(http[^"]+)', text)
            assert not fetched, name
    # What was linked on GitHub is linked here: code as a page, folders, records, the pages outside of docs.
    assert "losses/kd.py.html" in pages["docs/losses/KD.html"]
    assert "class KD" in re.sub("<[^>]+>", "", pages["src/potstill/losses/kd.py.html"])
    assert (tmp_path / "docs/results/crashes/record.json").is_file()
    assert 'href="CONTRIBUTING.html"' in pages["README.html"]
    assert "README.html" in pages["index.html"]
    # What the notebooks print is there.
    assert "% of the test images after epoch" in pages["docs/notebooks/first-steps.html"]
    found = (tmp_path / "searchindex.js").read_text()
    assert all(name.lower() in found.lower() for name in (*ps.losses.__all__, *ps.networks.__all__))


def test_faults_of_a_page_stop_it(tmp_path):
    for name, text in {"README.md": GOOD, "docs/README.md": "# All\n\n## Start\n\n[Page](page.md)\n"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "docs" / "page.md").write_text(BAD)
    (tmp_path / "docs" / "alone.md").write_text("# Linked by no index\n")
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "code.py").write_text("x = 1\n")
    (tmp_path / "record.json").write_text("{}")
    done = build(tmp_path, tmp_path / "out")
    assert done.returncode != 0
    for fault in (
        "nowhere.md",
        "no-such",
        "../src/other.py",
        "alone.md: WARNING: document isn't included in any toctree",
    ):
        assert fault in done.stderr
    assert len(re.findall("WARNING", done.stderr)) == 4, done.stderr
    assert (tmp_path / "out" / "src" / "code.py.html").is_file()
    assert "code.py.html" in (tmp_path / "out" / "src.html").read_text()


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_kept_without_what_they_printed(notebook):
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert code
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
