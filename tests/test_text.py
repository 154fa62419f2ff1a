"""A4, A6, C16: text that others wrote is only text, on terminals, in spreadsheets, in Markdown, in a shell."""

import csv
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

import potstill as ps
from potstill.cli import answer
from potstill.engine.progress import Progress
from potstill.errors import BadInput
from potstill.live_line import LiveLine
from potstill.say import say
from potstill.showing import show
from potstill.tables.jobs import Job
from potstill.tables.progress import TableProgress
from potstill.text import in_csv, in_docstring, in_markdown, in_shell, message, printable

MARKUP = {
    "style": "[bold]name",
    "closing": "name[/b]",
    "closing all": "[/]name",
    "link": "[link=https://example.org]name[/link]",
    "action": "[@click=app.quit]name[/]",
    "escaped": r"\[bold]name",
    "emoji": ":skull:name",
    "braces": "{0} {name!r} %s %(name)s",
    "html": "<b>name</b>&amp;",
}
"""Shown as they are."""
CONTROL = {
    "colour": "\x1b[31mname",
    "title of the window": "\x1b]0;owned\x07name",
    "clear": "\x1b[2Jname",
    "C1 sequence": "\x9b31mname",
    "carriage return": "epoch 1\rname",
    "backspace": "bad\b\b\bname",
    "bell": "\aname",
    "newline": "name\npotstill: all is well",
    "tab": "na\tme",
    "null": "na\0me",
    "vertical": "na\vm\fe",
    "delete": "na\x7fme",
    "right to left": "\u202egpj.name",
    "isolate": "\u2066name\u2069",
    "mark": "\u200fname\u061c",
    "zero width": "na\u200bme\ufeff",
    "line separator": "na\u2028me\u2029",
    "next line": "na\x85me",
    "surrogate": "name\udcff",
    "tag": "name\U000e0041",
    "private": "na\ue000me",
}
"""Shown as Python spells them."""
NAMES = {**MARKUP, **CONTROL}


def in_a_message(name, folder):
    say(name)
    return None


def of_an_error(name, folder):
    own = folder / "own.py"
    for kind, code in (("BadInput", 2), ("TrainingFailed", 3)):
        raising = f"raise {kind}({name!r})"
        own.write_text(f"from potstill.errors import {kind}\ndef main() -> dict:\n    {raising}\n", "utf-8")
        assert answer(["run", str(own)], as_json=False) == code


def above_a_live_line(name, folder):
    with LiveLine() as line:
        line.say(name)


def in_the_line_of_an_epoch(name, folder):
    with Progress(3, 4, 0) as progress:
        learners = {name: {"test": {name: 1.0}}}
        progress.epoch(
            {"epoch": 1, "images_per_second": 1.0, "terms": {name: 1.0}, "weights": {name: 2.0}, "learners": learners}
        )


def in_the_line_of_a_job(name, folder):
    with TableProgress(0, 1, 1) as progress:
        progress.started(Job(name, (), Path(name.replace("\0", ""))))
        progress.ended(Job(name, (), Path("log")), name)


def in_a_table(name, folder):
    show({"table": [{"column": name}]})


def as_a_heading(name, folder):
    show({"table": [{name: 1}]})


def in_a_summary(name, folder):
    reached = {"epoch": 1, "test": {name: 3.0}}
    learner = {"parameters": 5, "last": reached, "best": reached}
    show({"learners": {name: learner}, "teachers": {name: {"parameters": 1, "macs": 1}}})


def in_a_line(name, folder):
    show({"report": name})


def as_a_name(name, folder):
    show({name: 3})


def among_layers(name, folder):
    show({"layers": [{"path": name}]})


def in_code(name, folder):
    show({"code": [f"# in {name}"], "commands": [name]})


def as_a_command(name, folder):
    assert answer([name], as_json=False) == 2


def as_a_flag(name, folder):
    assert answer(["list", f"--{name}"], as_json=False) == 2


def as_a_value(name, folder):
    assert answer(["list", name], as_json=False) == 2


def as_a_folder(name, folder):
    if "\0" not in name:
        assert answer(["report", str(folder / name)], as_json=False) == 2


PLACES = {
    function.__name__: function
    for function in (
        *(in_a_message, of_an_error, above_a_live_line, in_the_line_of_an_epoch, in_the_line_of_a_job, in_a_table),
        *(as_a_heading, in_a_summary, in_a_line, as_a_name, among_layers, in_code),
        *(as_a_command, as_a_flag, as_a_value, as_a_folder),
    )
}


@pytest.mark.parametrize("place", PLACES)
def test_a4_printed_text_is_never_markup(place, capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "500")
    for name in NAMES.values():
        PLACES[place](name, tmp_path)
        shown = "".join(capsys.readouterr())
        assert shown.replace("\n", "").isprintable(), (name, shown)
        if place == "as_a_flag":
            name = name.partition("=")[0]
        if place == "as_a_folder":
            name = str(Path(name))
        if not (place == "as_a_folder" and "\0" in name):
            spelled = (printable(name).strip(), repr(name)[1:-1], repr(printable(name))[1:-1])
            assert any(text in shown for text in spelled), shown


@pytest.mark.parametrize("name", NAMES)
def test_a4_on_a_terminal_that_obeys(name):
    screen = io.StringIO()
    for line in (Progress(3, 4, 0), TableProgress(0, 1, 1)):
        line.console = line.live.console = Console(file=screen, force_terminal=True, width=300)
        with line:
            line.say(NAMES[name])
            if isinstance(line, Progress):
                line.accuracies = NAMES[name]
                line.step(1, 1.0, {NAMES[name]: 0.5}, {NAMES[name]: 1.0})
            else:
                line.state = lambda: NAMES[name]
                line.tick()
    shown = re.sub(r"\x1b\[(\?25[lh]|[012]?K|1A|2K|[\d;]*m)|\r", "", screen.getvalue())  # what rich itself sends
    assert shown.count(printable(NAMES[name])) >= 5
    assert shown.replace("\n", "").isprintable()


def test_a4_a_console_of_another_encoding(tmp_path):
    (tmp_path / "own.py").write_text(
        "def main() -> dict:\n    return {'\u00e9': '\u00b1', 'commands': ['\u2014']}", "utf-8"
    )
    code = f"import sys; from potstill.cli import main; sys.exit(main(['run', {str(tmp_path / 'own.py')!r}]))"
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["\\u2014", "\\xe9", "\\xb1"]


def test_a4_every_message_goes_the_same_way():
    """Nobody else prints on stderr or hands strings to rich."""
    package = Path(__file__).parents[1] / "src" / "potstill"
    text = {str(file.relative_to(package)): file.read_text() for file in package.rglob("*.py")}
    printing = [name for name, code in text.items() if "file=sys.stderr" in code]
    assert sorted(printing) == ["exits.py", "live_line.py", "say.py"]
    assert [name for name, code in text.items() if "markup=" in code] == []


CELLS = {
    "formula": ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
    "plus": ("+1+1", "'+1+1"),
    "minus": ("-2+3+cmd", "'-2+3+cmd"),
    "function": ("@SUM(1)", "'@SUM(1)"),
    "tab": ("\t=1", r"'\t=1"),
    "return": ("\r=1", r"'\r=1"),
    "newline": ("\n=1", r"'\n=1"),
    "blank before": ("  =1", "'  =1"),
    "wide": ("＝1", "'＝1"),  # noqa: RUF001
    "wide at": ("＠SUM(1)", "'＠SUM(1)"),  # noqa: RUF001
    "escape": ("a\x1bb", r"a\x1bb"),
    "link": ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
    "dash": ("-", "'-"),
    "after a number": ("-1;=cmd", "'-1;=cmd"),
    "number": ("-0.25", "-0.25"),
    "exponent": ("-1e-05", "-1e-05"),
    "signed": ("+3.5", "+3.5"),
    "numbers": ("-0.5;;2", "-0.5;;2"),
    "empty": ("", ""),
    "words": ("0.9 * KD = 3", "0.9 * KD = 3"),
    "quoted": ('a,"b"', 'a,"b"'),
}


@pytest.mark.parametrize("kind", CELLS)
def test_a6_a_cell_is_never_a_formula(kind):
    given, expected = CELLS[kind]
    assert in_csv(given) == expected
    sheet = io.StringIO()
    csv.writer(sheet).writerow(["before", in_csv(given), "after"])
    assert list(csv.reader(io.StringIO(sheet.getvalue()))) == [["before", expected, "after"]]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("a|b", r"a\|b"),
        ("`code`", r"\`code\`"),
        ("a\\|b", r"a\\\|b"),
        ("a\nb", r"a\\nb"),
        ("<script>", r"\<script>"),
        ("[x](javascript:y)", r"\[x\](javascript:y)"),
        ("![x](https://example.org)", r"!\[x\](https://example.org)"),
        ("0.9 * KD ± 1_a", "0.9 * KD ± 1_a"),
    ],
)
def test_a6_markdown_cells(given, expected):
    assert in_markdown(given) == expected


@pytest.mark.parametrize("name", NAMES)
def test_a_command_to_be_copied_means_the_same_word(name):
    word = NAMES[name].replace("\0", "") + "' $HOME `id` \\"
    line = in_shell(word)
    assert line.isprintable()
    done = subprocess.run(["bash", "-c", f"printf %s {line}"], capture_output=True, check=True)
    assert os.fsdecode(done.stdout) == word


@pytest.mark.parametrize("name", [*NAMES.values(), '"""', '\\"""', 'a"', "\\", "\\N{DASH}", "\\x", "'''", '""""'])
def test_a2_text_inside_a_docstring(name):
    names = {}
    exec(compile(f'"""{in_docstring(name)}."""', "generated", "exec"), names)
    assert names["__doc__"] == f"{printable(name)}."


LONG = {
    "word": "x" * 5000,
    "words": "x y " * 1250,
    "quote": "x'y\"" * 1250,
    "controls": "\x1b" * 5000,
    "path": "ab/" * 1600,
}


@pytest.mark.parametrize("kind", LONG)
def test_c16_a_long_value_is_not_echoed_whole(kind, capsys):
    value = LONG[kind]
    commands = [
        [value],
        ["list", value],
        ["list", f"--{value}"],
        ["supervised", "--network", "resnet8", "--epochs", value],
    ]
    commands += [["report", value], ["table", value], ["supervised", "--network", "resnet8", "--precision", value]]
    for words in commands:
        assert answer(words, as_json=False) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert len(line) < 1100
        assert line.count("x") + line.count("ab/") < 600


def test_c16_what_is_short_stays_whole():
    path = "/folder" * 20
    assert (
        message(f"{path} is a file; it's the network's, isn't it") == f"{path} is a file; it's the network's, isn't it"
    )


def test_a_run_folder_whose_name_is_no_text_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(BadInput, match=r"--out .* is not UTF-8"):
        ps.Training("digits", out=Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff")))
