"""``~`` at the beginning of a path is the home folder, whoever gives it and in whichever flag."""

import inspect
import json
import re
from pathlib import Path
from typing import get_type_hints

import pytest
from drawn import drawn

import potstill as ps
from potstill import cli, recipes
from potstill.data.files.image_files import read_images
from potstill.feature_teachers import FeatureTeachers
from potstill.flags import call
from potstill.home import at_home, word_at_home
from potstill.selection import Place
from potstill.teacher import Teachers


@pytest.fixture
def home(tmp_path, monkeypatch, user_cache):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "home").mkdir()
    yield tmp_path / "home"
    assert not list(tmp_path.glob("~*"))


PATHS = ["~", "~/a", "~/a/~/b", "~root"]


def test_words_and_values(home):  # B11
    assert at_home("~") == str(home)
    assert at_home(Path("~/a")) == home / "a"
    assert at_home(("~/a", Path("~/b"), 3, None)) == (f"{home}/a", home / "b", 3, None)
    assert word_at_home("--out=~/a") == f"--out={home}/a"
    for kept in ("a/~", "./~", "~nobody-of-this-name/x", "0.5 * CE", "--out", "", "x=~/a"):
        assert (at_home(kept), word_at_home(kept)) == (kept, kept)


def test_a_text_is_a_path_where_a_path_is_meant(home):
    training = ps.Training(out="runs/a", data_dir="~/data", data="digits")
    assert (training.out, training.data_dir, training.data) == (Path("runs/a"), home / "data", "digits")
    assert ps.Teacher(teacher="resnet8", teacher_weights="w.pt").teacher_weights == Path("w.pt")


def positionals(command):
    return [one for one in inspect.signature(command).parameters.values() if one.kind is one.POSITIONAL_ONLY]


NEVER_PATHS = ("optimizer",)
"""Texts that are refused unless they are a known name."""


def flags_with_paths():
    """Every flag of every command whose value is a path or a text; a positional one by its number."""
    for name, command in cli.commands().items():
        for argument, parameter in inspect.signature(command).parameters.items():
            kind = get_type_hints(command)[argument]
            inner = get_type_hints(kind) if hasattr(kind, "__dataclass_fields__") else {argument: kind}
            for flag, one in inner.items():
                if re.search(r"\b(Path|str)\b", str(one)) and "Literal" not in str(one) and flag not in NEVER_PATHS:
                    at = positionals(command).index(parameter) if parameter in positionals(command) else flag
                    yield pytest.param(name, at, id=f"{name}-{flag}")


@pytest.mark.parametrize(("name", "flag"), drawn(flags_with_paths(), 60))
def test_every_flag_of_every_command(name, flag, home):  # B11
    """The command is told its arguments with the home folder in them, and is not run."""
    command, told = cli.commands()[name], {}
    needed = {
        parameter: "x"
        for parameter, one in inspect.signature(command).parameters.items()
        if one.default is one.empty and one.kind is one.KEYWORD_ONLY and parameter not in (flag, "training")
    }
    for parameter in list(needed):
        kind = get_type_hints(command)[parameter]
        if hasattr(kind, "__dataclass_fields__"):
            del needed[parameter]
            called = "teachers" if kind is FeatureTeachers else "teacher"
            needed |= {} if flag == called else {called: "x"}

    def watched(*args, **given):
        told.update(values=repr((args, given)))
        return {}

    watched.__signature__, watched.__doc__ = inspect.signature(command), command.__doc__
    watched.__annotations__, watched.__name__ = get_type_hints(command), command.__name__
    words = [word for key, value in needed.items() for word in (f"--{key.replace('_', '-')}", value)]
    first = ["~/some/where" if number == flag else "x" for number, _ in enumerate(positionals(command))]
    given = [f"--{flag.replace('_', '-')}", "~/some/where"] if isinstance(flag, str) else []
    call(name, watched, [*first, *given, *words])
    assert f"{home}/some/where" in told["values"]
    assert "~" not in told["values"]


def test_python_callers(home, picture_folder):  # B11
    picture_folder.rename(home / "pictures")
    training = ps.Training("~/pictures", out=Path("~/run"), data_dir=Path("~/d"), labels="~/l.csv")
    assert (training.data, training.out, training.data_dir) == (f"{home}/pictures", home / "run", home / "d")
    assert training.labels == f"{home}/l.csv"
    assert ps.Teacher("~/run", teacher_weights=Path("~/w")).teacher_weights == home / "w"
    assert Teachers(("~/a", "b"), teacher_weights=(Path("~/w"),)).teacher == (f"{home}/a", "b")
    assert Place(data_dir=Path("~/d")).data_dir == home / "d"
    assert len(read_images(Path(ps.Training("~/pictures").data)).train) == 12
    assert ps.data.load("~/pictures", workers=0, image_size=8).name == f"{home}/pictures"


def test_a_run_at_home(home):  # B11
    small = {"data": "digits", "epochs": 1, "images": 40, "test_images": 20}
    recipes.supervised(network="resnet8", **small, out=Path("~/runs/a"))
    assert json.loads((home / "runs/a/config.json").read_text())["arguments"]["out"] == str(home / "runs/a")
    recipes.supervised(network="resnet8", weights=Path("~/runs/a"), **small, out=Path("~/runs/b"))
    (home / "net.py").write_text(
        "import potstill\n\ndef net(classes):\n    return potstill.networks.create('resnet8', classes)\n"
    )
    assert ps.networks.create("~/net.py:net", classes=3).classes == 3
    assert ps.networks.create("~/runs/a", classes=10).spec == "resnet8"
    network = ps.networks.create("resnet8", weights="~/runs/a/student.safetensors")
    assert network.spec == "resnet8"
