"""Command lines: sound ones with flags dropped, doubled, misspelt, and odd values; none of them trains.

A recipe's last word is an ``--out`` that is a file, so that everything is checked and built, and nothing trained.
"""

import json
import os
import shutil
import sys
from pathlib import Path

import torchvision  # noqa: F401  # here, since it takes seconds that are no input's
from hypothesis import strategies as st

import potstill.cli
from fuzzing.domain import Domain
from fuzzing.odd import TEXTS, misspelt, numbers, texts
from fuzzing.small import home

STOP = ["--out", "occupied"]
DIGITS = ["--data", "digits", "--images", "16", "--test-images", "8", "--epochs", "1", "--batch-size", "8"]
TEACHER = ["--teacher", "run"]
SOUND: list[tuple[list[str], list[str]]] = [
    *((["list", kind], []) for kind in ("losses", "networks", "recipes", "tables", "data")),
    (["list", "losses", "--kind", "self"], []),
    (["describe", "resnet8"], []),
    (["describe", "KD"], []),
    (["describe", "wrn-10-1", "--conv", "G2B2", "--classes", "5", "--input", "3", "8", "8"], []),
    (["describe", "run", "--layers"], []),
    (["evaluate", "--network", "run", "--data", "digits"], []),
    (["evaluate", "--network", "wrn-10-1", "--weights", "weights.safetensors", "--data", "digits"], []),
    (["evaluate", "--network", "run", "--data", "images", "--image-size", "8", "--workers", "0"], []),
    (["predict", "run", "images", "--top", "2", "--workers", "0", "--out", "p.csv"], []),
    (["report", "run", "--out", "r.html", "--title", "fuzzed"], []),
    (["export", "run", "--no-latency", "--best", "--out", "x.safetensors"], ["--to", "safetensors", "--no-latency"]),
    (["table", "rocket-table1", "--seeds", "2", "--epochs", "3", "--only", "*"], ["--dry-run"]),
    (["table", "express-rocket", "--jobs", "2", "--out", "t"], ["--dry-run"]),
    (["compare", "--student", "wrn-10-1", *TEACHER, *DIGITS, "--methods", "KD", "CE; 2 * AT on stages"], ["--dry-run"]),
    (["run", "own.py", "--times", "2", "--name", "y"], []),
    (["run", "own.py:main"], []),
    (["--version"], []),
    (["supervised", "--network", "wrn-10-1", *DIGITS, "--lr", "0.05", "--schedule", "cosine"], STOP),
    (["supervised", "--network", "resnet8", "--weights", "weights.safetensors", *DIGITS], STOP),
    (["supervised", "--network", "resnet8", "--data", "images", "--image-size", "8", "--workers", "0"], STOP),
    (["distill", "--student", "wrn-10-1", *TEACHER, "--terms", "CE", "0.5 * KD", "AT on stages", *DIGITS], STOP),
    (
        [
            "distill",
            "--student",
            "wrn-10-1",
            "--teacher",
            "wrn-10-1",
            "--teacher-weights",
            "weights.safetensors",
            *DIGITS,
        ],
        STOP,
    ),
    (["mutual", "--networks", "wrn-10-1", "wrn-10-1", *DIGITS, "--milestones", "1", "2", "--decay", "0.1"], STOP),
    (["chain", "--networks", "wrn-10-1", "resnet8", *TEACHER, *DIGITS], STOP),
    (["mixed-paths", "--student", "resnet8", *TEACHER, *DIGITS, "--paths", "1"], STOP),
    (["class-means", "--student", "wrn-10-1", *TEACHER, *DIGITS, "--on", "pooled=pooled"], STOP),
    (["native-ensemble", "--network", "resnet8", *DIGITS, "--branches", "2"], STOP),
    (["rocket", "--light", "wrn-10-1", "--booster", "wrn-16-1", *DIGITS, "--optimizer", "sgd"], STOP),
    (["moonshine", *TEACHER, "--conv", "G2B2", *DIGITS, "--seed", "3"], STOP),
]
LATER = (["check", "images"], ["verify", "run"])  # commands that may be there
FLAGS = (
    "--json",
    "--help",
    "--device",
    "--precision",
    "bf16",
    "--holdout",
    "--normalize",
    "imagenet",
    "--data-dir",
    "cpu",
)


@st.composite
def _words(draw: st.DrawFn) -> list[str]:
    words, tail = draw(st.sampled_from(SOUND + [(line, []) for line in LATER]))
    words = list(words)
    odd = texts(nul=False) | numbers() | st.sampled_from(TEXTS)
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(words)))
        how = draw(st.sampled_from(("drop", "double", "value", "value", "value", "misspell", "insert", "flag", "join")))
        if how == "insert":
            words.insert(at, draw(odd))
        elif how == "flag":
            words.insert(at, draw(st.sampled_from(FLAGS)))
        elif at < len(words):
            word = words[at]
            if how == "drop":
                del words[at]
            elif how == "double":
                words.insert(at, word)
            elif how == "join":
                words[at : at + 2] = ["=".join(words[at : at + 2])]
            else:
                words[at] = draw(misspelt([word]) if how == "misspell" or word.startswith("--") else odd)
    return [word for word in (*words, *tail) if "\0" not in word]


def run(value: list[str], folder: Path) -> None:
    """Run the command; it must end with a documented code and say in one line why it refuses."""
    if not _is_harmless(value):
        return
    here = Path.cwd()
    shutil.copytree(home(), folder / "home")
    os.chdir(folder / "home")
    sys.stdout.truncate(0), sys.stderr.truncate(0)
    try:
        code = potstill.cli.main(value)
    except SystemExit as stop:
        code = stop.code
    finally:
        os.chdir(here)
    said = sys.stderr.getvalue().splitlines()
    assert code in (0, 2, 3), f"exit code {code}: {said}"
    assert code == 0 or said, "nothing was said"
    wrong = [line for line in said if not line.startswith("potstill: ")]
    assert not wrong, f"no line of ours: {wrong[:3]}"
    assert not any(character in line for line in said for character in "\x1b\x07\r"), said[:3]
    assert all(len(line) < 2000 for line in said), f"a line of {max(map(len, said))} characters"
    if code == 0 and "--json" in value and "--help" not in value and "-h" not in value:
        json.loads(sys.stdout.getvalue(), parse_constant=_no_json)


def _is_harmless(words: list[str]) -> bool:
    """Whether it cannot train: a recipe or a table is stopped by its last words, and the demo is left out."""
    first = next((word for word in words if word != "--json"), "")
    if first in (
        "supervised",
        "distill",
        "mutual",
        "chain",
        "native-ensemble",
        "mixed-paths",
        "class-means",
        "rocket",
        "moonshine",
        "channel",
        "boundary",
        "demo",
    ):
        return words[-2:] == STOP
    return first not in ("stages", "factor-transfer", "masked", "two-stage", "table") or words[-1:] == ["--dry-run"]


def _no_json(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


COMMANDS = Domain(_words(), run)
