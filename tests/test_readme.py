"""What the README says, run as it stands there."""

import re
import tomllib
from pathlib import Path

import torch

import potstill as ps
from potstill.cli import commands

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
COMMANDS = (ROOT / "docs" / "commands.md").read_text()


def test_ones_own_loop_runs():
    (block,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    student, teacher = ps.networks.create("resnet8", seed=0), ps.networks.create("resnet14", seed=1)
    batch = (torch.randn(4, 3, 8, 8), torch.tensor([0, 1, 2, 3]))
    before = student.fc.weight.clone()
    names = {"student": student, "teacher": teacher, "batch": batch, "loader": [batch, batch]}
    exec(block, names)
    assert not torch.equal(before, student.fc.weight)
    assert not teacher.training


def test_every_command_is_on_its_page_and_exists():
    shown = set(re.findall(r"^\| `potstill ([a-z-]+)", COMMANDS, re.MULTILINE))
    assert shown == {*commands(), "run"}


def test_it_is_one_screen_and_light():
    assert len(README.splitlines()) < 90
    assert sum(path.stat().st_size for path in (ROOT / "docs" / "images").iterdir()) < 150_000


def test_the_version_is_one():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (cited,) = re.findall(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    (newest, *_) = re.findall(r"^## (\d\S*) - \d{4}-\d\d-\d\d$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert {project["version"], cited, newest} == {ps.__version__}


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(((?!http)[^)]+)\)", README):
        assert (ROOT / target).exists(), target


def test_constraints_name_no_place_and_fit_what_is_allowed():
    pinned = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if line[0] != "#")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *(r for extra in project["optional-dependencies"].values() for r in extra)]
    names = {re.split(r"[>\[]", requirement)[0] for requirement in wanted} - {"potstill"}
    assert names == set(pinned)
