"""What a stranger meets first: names in Python, help, lists, and a pipe that closes."""

import importlib
import inspect
import json
import os
import re
import rlcompleter
import subprocess
import sys

import pytest
from drawn import drawn

import potstill
from potstill import tables
from potstill.cli import commands, main
from potstill.errors import BadInput
from potstill.flags import ALWAYS, check_flags, flags_of
from potstill.unread import UNREAD, silent_when_unread

COMMANDS = commands()
OWN = """
import potstill as ps

def main(*, times: int = 2, training: ps.Training = ps.Training()) -> dict:
    '''Double a number.

    Args:
        times: what is doubled.
    '''
    return {"result": 2 * times}

def other(word: str, /, *, loudly: bool = False) -> dict:
    '''Say a word.'''
    return {"result": word}
"""


@pytest.fixture
def own(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(OWN)
    return file


def shown_flags(text):
    """The flags that a help names, but for those that every command has."""
    return set(re.findall(r"--[a-z][a-z0-9-]*", text)) - {*ALWAYS, "--flags"}


def one_of_each(flags):
    """Of --light and --no-light, which a help tells as that which is no default, the former."""
    return {flag.replace("--no-", "--") for flag in flags} - {*ALWAYS}


def help_of(words, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")  # so narrow that the help has one column
    with pytest.raises(SystemExit) as stop:
        main([*words, "--help"])
    assert not stop.value.code
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def test_public_names_are_seen_completed_and_importable():
    code = "import potstill, json; print(json.dumps(dir(potstill)))"
    fresh = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    assert {name for name in fresh if not name.startswith("_")} == set(potstill.__all__)
    assert "__version__" in fresh
    completer = rlcompleter.Completer({"potstill": potstill})
    for name in potstill.__all__:
        assert getattr(potstill, name) is getattr(importlib.import_module("potstill"), name)
        matches = [completer.complete(f"potstill.{name[:3]}", state) for state in range(20)]
        assert any(match and match.startswith(f"potstill.{name}") for match in matches), name


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_every_command(name, capsys, monkeypatch):
    text = help_of([name], capsys, monkeypatch)
    assert ">>>" not in text
    assert re.match(rf"usage: potstill {name} ", text)
    assert one_of_each(shown_flags(text)) == one_of_each(flags_of(COMMANDS[name])), "exactly those that are taken"


@pytest.mark.parametrize("name", COMMANDS)
def test_only_flags_are_suggested_and_taken(name):
    known = flags_of(COMMANDS[name])
    hidden = [n for n, p in inspect.signature(COMMANDS[name]).parameters.items() if p.kind is p.POSITIONAL_ONLY]
    for word in ("return", "training", *hidden):
        if f"--{word}" in known:  # a command may have a flag of that name
            continue
        with pytest.raises(BadInput) as refused:
            check_flags(COMMANDS[name], [f"--{word}=1"])
        suggested = re.findall(r"--[a-z0-9-]+", str(refused.value).partition(";")[2])
        assert set(suggested) <= set(known)
    check_flags(COMMANDS[name], known)


@pytest.mark.parametrize(("line", "flag"), [
    ("distill --retrun 3", "--return"), ("list --subjects losses", "--subject"), ("table kd-zoo --names x", "--name"),
    ("describe resnet8 --networks x", "--network"), ("supervised --trainin 1", "--training"),
])  # fmt: skip
def test_what_is_no_flag_is_not_suggested(line, flag, capsys):
    assert main(line.split()) == 2
    assert flag not in re.findall(r"--[a-z0-9-]+", capsys.readouterr().err.partition(";")[2])
    words = line.split()
    assert main([words[0], flag, "1"]) == 2
    assert f"unknown flag {flag!r}" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["run"], ["run", "--json"]])
def test_help_of_run_explains_it(words, capsys, monkeypatch):
    text = help_of(words, capsys, monkeypatch)
    assert text.startswith("usage: potstill run FILE.py[:function] [--flags]")
    assert "potstill run FILE.py --help" in text


def test_help_of_ones_own_recipe_shows_its_flags(own, capsys, monkeypatch):
    text = help_of(["run", str(own)], capsys, monkeypatch)
    assert text.startswith(f"usage: potstill run {own} ")
    assert "Double a number." in text
    assert "what is doubled" in text
    assert {"--times", "--epochs", "--compile"} <= shown_flags(text)
    text = help_of(["run", f"{own}:other"], capsys, monkeypatch)
    assert text.startswith(f"usage: potstill run {own}:other ")
    assert shown_flags(text) == {"--loudly"}


@pytest.mark.parametrize(("words", "message"), [
    ([], "run needs a file first: potstill run FILE.py"),
    (["--times", "3"], "run needs a file first, not --times: potstill run FILE.py"),
    (["{own}", "--time", "3"], "did you mean --times"),
    (["{own}", "--return", "3"], "unknown flag '--return'"),
    (["{own}:othr"], "did you mean other"),
])  # fmt: skip
def test_run_of_what_is_not_there(words, message, own, capsys):
    assert main(["run", *(word.format(own=own) for word in words)]) == 2
    assert message in capsys.readouterr().err


def listed(kind, capsys):
    assert main(["list", kind, "--json"]) == 0
    return list(json.loads(capsys.readouterr().out)[kind])


def test_every_recipe_that_is_listed_is_a_command(capsys, monkeypatch):
    names = listed("recipes", capsys)
    assert {"two-stage", "factor-transfer"} <= set(names) <= set(COMMANDS)
    for name in names:
        assert help_of([name], capsys, monkeypatch)


def test_every_table_that_is_listed_is_taken(capsys, tmp_path):
    names = listed("tables", capsys)
    assert len(names) == len(tables.__all__)
    for name in names:
        assert main(["table", name, "--dry-run", "--seeds", "1", "--out", str(tmp_path), "--data-dir", "data"]) == 0
        assert all("-m potstill " in line for line in capsys.readouterr().out.splitlines())


def unread(words, stream="stdout"):
    """Run potstill with one of its two streams read by nobody; the other one's text, and the exit code."""
    reading, writing = os.pipe()
    os.close(reading)
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, stream: writing}
    process = subprocess.run([sys.executable, "-m", "potstill", *words], **streams, text=True)
    os.close(writing)
    return process.stderr if stream == "stdout" else process.stdout, process.returncode


# Of each way to print one, and of the others a drawn part.
PRINTING = ("list losses", "list tables --json", "run --help")
OTHERS = ("list tables", "demo --help", "distill --help", "--help", "--version", "table kd-zoo --dry-run")


@pytest.mark.parametrize("words", [*PRINTING, *drawn(OTHERS, 1)])
def test_a_closed_pipe_ends_silently(words):
    assert unread(words.split()) == ("", UNREAD)


def test_messages_that_nobody_reads():
    assert unread(["list", "loses"], "stderr") == ("", UNREAD)
    assert unread(["supervise"], "stderr") == ("", UNREAD)


def test_head_of_a_list():
    """The whole pipe, as a shell runs it."""
    line = f"set -o pipefail; {sys.executable} -m potstill list tables | head -1"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True)
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 1


def test_another_pipe_of_a_command_is_bad_input(capsys, monkeypatch):
    def broken(kind):
        raise BrokenPipeError(32, "Broken pipe", kind)

    monkeypatch.setattr("potstill.cli.call", lambda name, command, words: broken(*words))
    assert main(["list", "losses"]) == 2
    assert capsys.readouterr().err == "potstill: losses: Broken pipe\n"


def test_another_broken_pipe_is_an_error():
    with pytest.raises(BrokenPipeError, match="a process of ours"), silent_when_unread():
        raise BrokenPipeError("a process of ours")
