"""The flags of a teacher: written once, and in every recipe with a teacher."""

import inspect
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from potstill import recipes
from potstill.cli import main
from potstill.errors import BadInput
from potstill.runs.recording import current_record
from potstill.teacher import AnyTeacher, OptionalTeacher, Teacher, Teachers
from potstill.training import Training

OWN = {
    "boundary": {"student": "resnet8"},
    "chain": {"networks": ("resnet8",)},
    "channel": {"student": "resnet8"},
    "distill": {"student": "resnet8"},
    "class_means": {"student": "resnet8"},
    "factor_transfer": {"student": "resnet8"},
    "masked": {"student": "resnet8"},
    "mixed_paths": {"student": "resnet8"},
    "moonshine": {"conv": "DConv"},
    "rocket": {"light": "wrn-10-1", "booster": "wrn-16-1"},
    "two_stage": {"student": "resnet8"},
}
FLAGS = {"teacher": "resnet8", "teacher_weights": "some.th", "teacher_normalize": "imagenet", "teacher_size": 12}
DIGITS = Training(data="digits")


@pytest.fixture
def asked(monkeypatch):
    """The teachers that recipes ask for, and what is recorded by then; instead of making them."""
    found = []

    def create(self, *_):
        found.append((self, current_record()))
        raise BadInput("that is enough")

    for kind in (AnyTeacher, Teachers):
        monkeypatch.setattr(kind, "create", create)
    return found


def words(arguments):
    found = []
    for name, value in arguments.items():
        found += [f"--{name.replace('_', '-')}", *map(str, value if isinstance(value, tuple) else (value,))]
    return found


def test_these_are_all_recipes_with_a_teacher():
    assert {n for n in recipes.__all__ if "teacher" in inspect.signature(getattr(recipes, n)).parameters} == {*OWN}


@pytest.mark.parametrize("name", OWN)
def test_every_flag_arrives_and_is_recorded_under_its_own_name(name, asked, capsys):
    line = [name.replace("_", "-"), *words(OWN[name]), *words(FLAGS), "--data", "digits"]
    assert main(line) == 2
    assert capsys.readouterr().err.splitlines()[-1] == "potstill: that is enough"
    ((teacher, record),) = asked
    wanted = FLAGS | {"teacher_weights": Path("some.th")}
    assert {flag: getattr(teacher, flag) for flag in wanted} == wanted
    assert {flag: record[flag] for flag in wanted} == wanted
    assert record.get("teachers") is None


@pytest.mark.parametrize("name", OWN)
def test_in_python_as_a_teacher_or_flat(name, asked):
    recipe = getattr(recipes, name)
    teacher = Teacher("resnet8", teacher_size=12)
    for way in ({"teacher": teacher}, {"teacher": "resnet8", "teacher_size": 12}, {"teacher": teacher, "epochs": 200}):
        with pytest.raises(BadInput, match="that is enough"):
            recipe(**OWN[name], **way, training=DIGITS)
    records = [record for _, record in asked]
    assert records[0] == records[1] == records[2]
    assert (records[0]["teacher"], records[0]["teacher_size"]) == ("resnet8", 12)


@pytest.mark.parametrize("name", ["distill", "channel"])
def test_several(name, asked):
    line = [name, *words(OWN[name]), "--teacher", "a", "b", "--teachers", "each", "--data", "digits"]
    assert main([*line, "--teacher-size", "8", "9", "--teacher-normalize", "digits"]) == 2
    ((teacher, record),) = asked
    assert teacher == Teachers(("a", "b"), None, "digits", (8, 9), "each")
    assert (record["teacher"], record["teachers"], record["teacher_size"]) == (("a", "b"), "each", (8, 9))


def test_of_one_teacher_it_does_not_matter_how_several_would_be_taken():
    assert Teachers("a", teachers="each") == Teachers("a", teachers="mean")
    assert Teachers(("a", "b"), teachers="each") != Teachers(("a", "b"), teachers="mean")


@pytest.mark.parametrize("name", sorted({*OWN} - {"distill", "channel"}))
def test_one_is_one(name, asked, capsys):
    line = [name.replace("_", "-"), *words(OWN[name]), "--data", "digits"]
    assert main([*line, "--teacher", "a", "b"]) == 2
    assert main([*line, "--teacher", "a", "--teachers", "each"]) == 2
    assert "unknown flag '--teachers'; did you mean --teacher" in capsys.readouterr().err
    assert not asked


@pytest.mark.parametrize("name", sorted({*OWN} - {"rocket", "chain"}))
def test_a_teacher_there_must_be(name, asked, capsys):
    assert main([name.replace("_", "-"), *words(OWN[name]), "--data", "digits"]) == 2
    assert "--teacher" in capsys.readouterr().err
    assert not asked


def test_a_rocket_needs_none():
    assert OptionalTeacher().create(None) == {}


def test_every_field_is_documented_and_no_torch_is_imported():
    code = "import sys, potstill.teacher; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
    source = inspect.getsource(AnyTeacher) + inspect.getsource(Teachers)
    for field in fields(Teachers):
        _, _, after = source.partition(f"    {field.name}: ")
        assert after.splitlines()[1].strip().startswith('"""'), field.name
