"""What the pages in docs say: written from the code as it is, and run as it stands there."""

import dataclasses
import doctest
import importlib.util
import inspect
import itertools
import re
import shlex
from pathlib import Path

import pytest
import torch
from in_process import run_in_process

import potstill as ps
from potstill.cli import commands, main
from potstill.flags import check_flags
from potstill.losses import CD
from potstill.term_strings import parse_terms

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"


def tool(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PAGES = tool("write_loss_docs").pages()


def test_no_page_of_a_loss_is_left_over_or_missing():
    assert {path.name for path in (DOCS / "losses").glob("*")} == set(PAGES)


@pytest.mark.parametrize("name", PAGES)
def test_pages_of_the_losses_are_what_the_tool_writes(name):
    stored = (DOCS / "losses" / name).read_text(encoding="utf-8")
    assert stored == PAGES[name], "run python tools/write_loss_docs.py"


def test_pages_show_the_examples_of_the_losses():
    page = PAGES["CD.md"]
    (example,) = re.findall(r"## Example\n\n```python\n(>>> import torch\n.*?)\n```\n", page, re.DOTALL)
    assert example in inspect.getdoc(CD)
    assert all(page.count("## Example") == (name != "README.md") for name, page in PAGES.items())


@pytest.mark.parametrize(
    "page",
    [path.relative_to(DOCS).as_posix() for path in sorted(DOCS.rglob("*.md")) if "results" not in path.parts],
)
def test_links_lead_somewhere(page):
    folder = (DOCS / page).parent
    for target in re.findall(r"\]\(((?!http)[^)#]+)\)", (DOCS / page).read_text(encoding="utf-8")):
        assert (folder / target).exists(), target


def test_the_page_on_reliability_has_the_figures_of_the_records():
    stored = (DOCS / "reliability.md").read_text(encoding="utf-8")
    assert stored == tool("write_reliability_docs").page(), "run python tools/write_reliability_docs.py"


@pytest.mark.parametrize("page", ["which-method.md", "costs.md"])
def test_the_guides_have_the_figures_of_the_records(page, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "tools")
    stored = (DOCS / page).read_text(encoding="utf-8")
    assert stored == tool("write_guides").page(page), "run python tools/write_guides.py"
    assert not re.search(r"<!-- table: \w+ -->\n<!-- end -->", stored)


def test_the_page_on_seams_shows_every_example_as_it_is():
    stored = (DOCS / "seams.md").read_text(encoding="utf-8")
    assert stored == tool("write_seams_docs").page(), "run python tools/write_seams_docs.py"
    for example in (ROOT / "examples").glob("*.py"):
        assert example.read_text(encoding="utf-8").strip() in stored


PYTHON = tool("write_python_docs")


def test_the_page_of_the_python_surface_is_what_the_tool_writes():
    stored = (DOCS / "python.md").read_text(encoding="utf-8")
    assert stored == PYTHON.page(), "run python tools/write_python_docs.py"


ENTRIES = {
    name: text.partition("\n## ")[0]
    for name, _, text in (entry.partition("\n") for entry in PYTHON.page().split("\n### ")[1:])
}


def test_every_public_name_is_on_the_page():
    page = PYTHON.page()
    modules = {name for name in ps.__all__ if inspect.ismodule(getattr(ps, name))}
    assert {*ps.__all__} - modules <= {*ENTRIES}
    assert all(f"`ps.{name}`" in page for name in modules)
    assert {f"networks.{name}" for name in ps.networks.__all__} <= {*ENTRIES}


@pytest.mark.parametrize("name", ENTRIES)
def test_examples_of_the_python_surface_run_as_they_stand(name, capsys):
    text = "\n".join(re.findall(r"```python\n(>>> .*?)```", ENTRIES[name], re.DOTALL))
    example = doctest.DocTestParser().get_doctest(text, {}, name, None, None)
    assert any(part.want for part in example.examples)
    result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example)
    assert result.failed == 0, capsys.readouterr().out


def test_inherited_fields_have_their_texts():
    for settings in (ps.Training, ps.Teacher):
        fields = ENTRIES[settings.__name__].partition("#### Fields\n\n")[2].partition("\n\n")[0].split("\n")
        assert len(fields) == len(dataclasses.fields(settings))
    assert "`data_dir = None`: Where data sets lie; " in ENTRIES["Training"]
    assert "`teacher_size = None`: Height and width of those images." in ENTRIES["Teacher"]


def test_links_into_the_page_lead_to_its_headings():
    headings = {PYTHON.anchor(text) for text in re.findall(r"^##+ (.*)$", PYTHON.page(), re.MULTILINE)}
    inside = re.findall(r"\]\(#([^)]+)\)", PYTHON.page())
    assert len(inside) > len(ENTRIES)
    pages = [path.read_text(encoding="utf-8") for path in DOCS.rglob("*.md")]
    assert {*inside, *(found for page in pages for found in re.findall(r"python\.md#([^)]+)\)", page))} <= headings


def test_an_argument_of_several_lines_is_one_entry():
    text = "Args:\n    name: it goes on\n        here.\n    other: short."
    assert tool("docstrings").section(text).split("\n")[2:] == ["- `name`: it goes on", "  here.", "- `other`: short."]
    one = "Raises:\n    BadInput: it goes on\n        here."
    assert tool("docstrings").section(one) == "## Errors\n\n- `BadInput`: it goes on\n  here."


def test_every_name_of_every_public_module_is_documented():
    assert {f"{name}.md" for name in ps.losses.__all__} <= {*PAGES}
    for module in ("data", "networks", "recipes"):
        for name in getattr(ps, module).__all__:
            assert re.search(rf"^\| \[`{module}\.{name}`\]\([^)]+\) \| \w", PYTHON.page(), re.MULTILINE), name


def test_from_other_frameworks_runs(tmp_path, monkeypatch, capsys):
    page = (DOCS / "from-other-frameworks.md").read_text(encoding="utf-8")
    lines = "".join(re.findall(r"```sh\n(.*?)```", page, re.DOTALL)).replace("\\\n", " ").splitlines()
    monkeypatch.chdir(tmp_path)
    small = "--data digits --images 32 --test-images 16 --epochs 1 --batch-size 8"
    assert main(shlex.split(f"supervised --network resnet14 {small} --out runs/teacher")) == 0
    for i, line in enumerate(lines):
        program, recipe, *words = shlex.split(line)
        assert program == "potstill"
        check_flags(commands()[recipe], words)
        if "--terms" in words:
            terms = itertools.takewhile(lambda word: word[:2] != "--", words[words.index("--terms") + 1 :])
            command = shlex.split(f"distill --student resnet8 --teacher runs/teacher {small} --out runs/{i}")
            assert main([*command, "--terms", *terms]) == 0, capsys.readouterr().err
    assert len(lines) == 8


def test_the_index_has_every_page():
    index = (DOCS / "README.md").read_text(encoding="utf-8")
    targets = set(re.findall(r"\]\(([^)#]+)\)", index))
    folders = {f"{page.parent.name}/README.md" for page in DOCS.glob("*/README.md")}
    assert {path.name for path in DOCS.glob("*.md")} - {"README.md"} | folders <= targets


def test_your_own_method_runs(tmp_path, monkeypatch, capsys):
    page = (DOCS / "your-own-method.md").read_text(encoding="utf-8")
    method, *python = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (shell,) = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    Path("mylab.py").write_text(method)
    for command in shell.replace("\\\n", " ").splitlines():
        program, *words = shlex.split(command)
        assert program == "potstill"
        assert main(words) == 0, capsys.readouterr().err
    assert Path("runs/mine/student.safetensors").is_file()
    names = {}
    for block in python:
        exec(block, names)
    assert names["networks"]["student"].fc.weight.grad is not None
    assert all(torch.isfinite(value) for value in names["values"].values())


def test_the_python_of_the_page_on_teachers_runs():
    page = (DOCS / "teachers.md").read_text(encoding="utf-8")
    adapting, packing = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names = {}
    exec(packing, {})
    exec(adapting, names)
    assert names["logits"].shape == (128, 10)
    assert names["teacher"].own_input == names["wanted"]


def test_students_of_features_run(tmp_path, monkeypatch, capsys):
    page = (DOCS / "embedding.md").read_text(encoding="utf-8")
    python, loss = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    Path("mylosses.py").write_text(loss)
    for command in "".join(re.findall(r"```sh\n(.*?)```", page, re.DOTALL)).splitlines():
        program, *words = shlex.split(command)
        assert program == "potstill"
        fewer = ["--images", "60", "--test-images", "40"] if "--epochs" in words else []
        assert main([*words, *fewer]) == 0, capsys.readouterr().err
    names = {}
    exec(python, names)
    assert (names["features"].shape[1], names["fresh"]) == (64, ("fc",))


def test_modern_training_runs(tmp_path, monkeypatch, capsys):
    page = (DOCS / "modern-training.md").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for command in "".join(re.findall(r"```sh\n(.*?)```", page, re.DOTALL)).replace("\\\n", " ").splitlines():
        fewer = " --images 60 --test-images 40" if "--data digits" in command else ""
        assert main(shlex.split(command + fewer)[1:]) == 0, capsys.readouterr().err
    assert Path("averaged.safetensors").is_file()
    assert Path("runs/mixed/summary.json").is_file()


def test_the_page_on_comparisons_runs(tmp_path, monkeypatch, capsys):
    page = (DOCS / "compare.md").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    run_in_process(monkeypatch)
    blocks = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    for command in "".join(blocks).replace("\\\n", " ").splitlines():
        fewer = " --images 60 --test-images 40 --batch-size 30 --device cpu"
        fewer += " --seeds 1" if " compare " in command else ""
        assert main(shlex.split(command + fewer)[1:]) == 0, capsys.readouterr().err
    assert Path("runs/which/table.md").is_file()
    assert Path("runs/tuned/tune.json").is_file()
    assert "picked" in Path("runs/budget/compare.json").read_text()


def test_self_and_chains_runs(tmp_path, monkeypatch, capsys):
    page = (DOCS / "self-and-chains.md").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    (shell,) = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    for command in shell.replace("\\\n", " ").splitlines():
        fewer = " --images 60 --test-images 40" if "--data digits" in command else ""
        assert main(shlex.split(command + fewer)[1:]) == 0, capsys.readouterr().err
    assert Path("runs/pskd/student-epoch0.safetensors").is_file()
    assert Path("student.safetensors").is_file()


def test_methods_that_compare_answers_run(tmp_path, monkeypatch, capsys):
    page = (DOCS / "responses.md").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for command in "".join(re.findall(r"```sh\n(.*?)```", page, re.DOTALL)).replace("\\\n", " ").splitlines():
        fewer = " --images 60 --test-images 40" if "--data digits" in command else ""
        assert main(shlex.split(command + fewer)[1:]) == 0, capsys.readouterr().err
    assert Path("runs/inside/student.safetensors").is_file()
    (python,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    exec(python, names := {})
    assert all(torch.isfinite(value) for value in names["values"].values())
    for string in re.findall(r"`([^`]+)`", page.partition("|---|---|")[2].partition("\n\n")[0]):
        if re.match(r"([\w.]+ \* |\w+\(.*\) \* )?[A-Z]\w+", string):
            assert parse_terms([string.partition(" on ")[0]], names["networks"])


def test_the_page_on_labels_runs(tmp_path, monkeypatch, user_cache, capsys):
    page = (DOCS / "unlabelled.md").read_text(encoding="utf-8")
    (python,), (parity,) = (re.findall(rf"```{kind}\n(.*?)```", page, re.DOTALL) for kind in ("python", "json"))
    monkeypatch.chdir(tmp_path)
    exec(python.replace("600", "90"), {})
    Path("parity.json").write_text(parity)
    for command in "".join(re.findall(r"```sh\n(.*?)```", page, re.DOTALL)).replace("\\\n", " ").splitlines():
        words = re.sub(r"--epochs \d+", "--epochs 1 --workers 0", command)
        words = words.replace("--data digits ", "--data digits --images 90 ") if "supervised" in words else words
        assert main(shlex.split(words)[1:]) == 0, capsys.readouterr().err
    assert {path.name for path in Path("runs").iterdir()} == {
        "teacher",
        "student",
        "both",
        "parity",
        "several",
        "small",
    }


def test_your_own_model_runs(picture_folder, tmp_path, monkeypatch, capsys):
    page = (DOCS / "your-own-model.md").read_text(encoding="utf-8")
    network, python = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    assert picture_folder == tmp_path / "pictures"
    Path("mynet.py").write_text(network)
    for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL):
        for command in block.replace("\\\n", " ").splitlines():
            program, *words = shlex.split(re.sub(r"--epochs \d+", "--epochs 1 --image-size 32 --batch-size 6", command))
            assert program == "potstill"
            assert main(words) == 0, capsys.readouterr().err
    assert Path("report.html").is_file()
    assert Path("student.onnx").is_file()
    capsys.readouterr()
    exec(re.sub(r"epochs=\d+", "epochs=1, image_size=32, batch_size=6", python), {})
    assert "student.late" in capsys.readouterr().err  # the stages that were found are said
