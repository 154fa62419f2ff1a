"""D: help has an example, the command's own flags first, types that people read, and fits on a screen or two."""

import re
import shlex

import pytest

from potstill.cli import commands, main
from potstill.flags import _parse, flags_of
from potstill.help_text import EXAMPLES, help_text

NAMES = [*commands()]


@pytest.mark.parametrize("name", NAMES)
def test_help_of_every_command(name, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    text = help_text(name, commands()[name])
    lines = text.splitlines()
    # The first tells what the others share, the second has the flags of tables and of teachers.
    assert len(lines) <= {"supervised": 160, "compare": 100}.get(name, 80)
    assert max(len(line) for line in lines if not line.startswith("  potstill ")) < 100
    assert f"  {EXAMPLES[name]}" in lines
    assert not re.search(r"\{|\bNone\b|STR|\[INT|Annotated|\bdefault: ", text.replace("wrn-{", "").replace("{}", ""))
    for flag in flags_of(commands()[name]):
        told = flag in text or flag.replace("--", "--no-", 1) in text or flag.replace("--no-", "--", 1) in text
        assert told, flag


@pytest.mark.parametrize("name", NAMES)
def test_examples_are_commands_that_there_are(name):
    words = shlex.split(EXAMPLES[name])
    assert words[:2] == ["potstill", name]
    run, mistake = _parse(name, commands()[name], words[2:])
    assert mistake == ""
    assert callable(run)


def test_own_flags_come_first_and_shared_ones_are_told_once(capsys):
    for name in ("distill", "supervised"):
        with pytest.raises(SystemExit, match="0"):
            main([name, "--help"])
    brief, _, full = capsys.readouterr().out.partition("usage: potstill supervised")
    assert brief.index("--student TEXT") < brief.index("--teacher TEXT ...") < brief.index("--data TEXT")
    assert "--data TEXT (cifar10), " in brief
    assert "potstill supervised --help tells what the last groups mean." in brief
    assert "--lr X (0.1)" in brief
    assert re.search(r"--lr X +Learning rate at the start\. \(default 0\.1\)", full)


def test_help_of_a_recipe_of_ones_own(tmp_path, capsys):
    own = tmp_path / "own.py"
    own.write_text('''
import potstill as ps

def main(*, times: int, loud: bool = True, training: ps.Training = ps.Training(lr=0.3)) -> dict:
    """Double.

    Args:
        times: how often,
            in all.
        loud: or not.
    """
    return {}
''')
    with pytest.raises(SystemExit, match="0"):
        main(["run", str(own), "--help"])
    text = capsys.readouterr().out
    assert re.search(r"--times N +how often, in all\. \(required\)", text)
    assert re.search(r"--no-loud +or not\. \(the default is with it\)", text)
    assert "--lr X (0.3)" in text
