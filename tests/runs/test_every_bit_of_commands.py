"""B3: a flipped bit in any file of a run folder is noticed by every command line that opens that file."""

import os
import random
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from drawn import drawn

from potstill.cli import main

BITS = int(os.environ.get("POTSTILL_BITS", "1"))
"""How many bits of each file are flipped for each command, drawn by a seed; 50 take about a quarter of an hour."""
SMALL = "--data digits --images 60 --test-images 20 --batch-size 30 --device cpu"
COMMANDS = {
    "evaluate": "evaluate --network {run} --data digits",
    "evaluate --weights": "evaluate --network {code}/net.py:net --weights {run}/student-best.safetensors --data digits",
    "describe": "describe {run}",
    "export": "export {run} --to safetensors --out {new}.safetensors",
    "export --best": "export {run} --to torch --best --out {new}.pt2",
    "report": "report {run} --out {new}.html",
    "verify": "verify {run}",
    "teacher": f"distill --student resnet8 --teacher {{run}} --epochs 1 {SMALL} --out {{new}}",
    "start": f"supervised --network {{code}}/net.py:net --weights {{run}} --epochs 1 {SMALL} --out {{new}}",
    "again": f"distill --student {{code}}/net.py:net --teacher {{teacher}} --terms {{code}}/net.py:Mine --epochs 2 "
    f"{SMALL} --out {{run}}",
    "longer": f"distill --student {{code}}/net.py:net --teacher {{teacher}} --terms {{code}}/net.py:Mine --epochs 3 "
    f"--extend {SMALL} --out {{run}}",
}
GOES_ON = {
    ("report", "insight.json"),  # without its pictures
    ("report", "details.json"),  # without its classes
    ("longer", "last.ckpt"),  # from the checkpoint before
    ("longer", "student.safetensors"),  # which it writes again
    ("longer", "student-best.safetensors"),
}
"""What a command says and goes on without."""

opened: list[str] | None = None


def listen(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and opened is not None and isinstance(arguments[0], str | bytes):
        opened.append(os.fsdecode(arguments[0]))


sys.addaudithook(listen)


@contextmanager
def listening() -> Iterator[list[str]]:
    """The paths of the files that Python opens inside."""
    global opened
    opened = []
    try:
        yield opened
    finally:
        opened = None


@pytest.fixture
def runs(own_runs: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(own_runs, tmp_path / "runs"))


@pytest.mark.parametrize("name", drawn(COMMANDS, 6))
def test_a_flipped_bit_is_noticed_by_whichever_command_opens_the_file(
    own_runs, runs, code, tmp_path, capfd, name, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    run, whole = runs / "run", tmp_path / "whole"
    places = {"run": run, "code": code, "teacher": own_runs / "run-teacher"}
    shutil.copytree(runs, whole)

    def call(number: int) -> int:
        new = tmp_path / f"new-{number}"
        return main([word.format(**places, new=new) for word in COMMANDS[name].split()])

    with listening() as paths:
        assert call(0) == 0, capfd.readouterr().err
    read = {os.path.relpath(path, run) for path in paths if path.startswith(os.sep)} & files(whole / "run")
    assert read, "it opens no file of the run"
    draw = random.Random(name)
    for number, (file, _) in enumerate([(file, bit) for file in sorted(read) for bit in range(BITS)], start=1):
        shutil.rmtree(runs)
        shutil.copytree(whole, runs)
        content = bytearray((run / file).read_bytes())
        place, bit = draw.randrange(len(content)), draw.randrange(8)
        content[place] ^= 1 << bit
        (run / file).write_bytes(content)
        capfd.readouterr()
        code_of_exit, said = call(number), capfd.readouterr()
        assert code_of_exit == (0 if (name, file) in GOES_ON else 2), (file, place, bit, said)
        assert Path(file).name in said.out + said.err, (file, place, bit, said)
        assert "Traceback" not in said.err


def files(run: Path) -> set[str]:
    """The files of a run, but for its lock and what TensorBoard reads."""
    names = {file.relative_to(run).as_posix() for file in run.rglob("*") if file.is_file()}
    return {name for name in names if not Path(name).name.startswith((".", "events"))}
