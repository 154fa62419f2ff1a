"""Kills a process before each of its file operations, and looks at the run folder it leaves.

    python killing.py write|start FOLDER

Prints how many kills there were.
"""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from potstill.errors import BadInput
from potstill.runs import manifest
from potstill.runs.folder import RunFolder

CONFIG = {
    **{"format": 2, "recipe": "fit", "arguments": {"lr": 0.1}, "versions": {}, "device": "cpu"},
    "networks": {"net": {"spec": "resnet8", "classes": 10}},
}
KEEP = {"last.ckpt": "previous.ckpt"}
NEW = {"a.safetensors": b"a2", "last.ckpt": b"state2", "summary.json": b"{}"}
OPERATIONS = ("fsync", "link", "open", "rename", "replace", "unlink", "write")


def killed_at(number: int, work: Callable[[], object]) -> bool:
    """Do it in a process that is gone, without any cleaning up, before its file operation of that number."""
    if (child := os.fork()) == 0:
        left = [number]

        def counting(call):
            def operation(*args, **given):
                if left[0] == 0:
                    os._exit(9)
                left[0] -= 1
                return call(*args, **given)

            return operation

        for name in OPERATIONS:
            setattr(os, name, counting(getattr(os, name)))
        try:
            work()
        except BaseException:
            os._exit(1)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, 9)
    return code == 9


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in ("last.ckpt", "previous.ckpt", "a.safetensors")}


def kill_writes(folder: Path) -> int:
    """Kill `manifest.write` everywhere: old or new, in its order, and no damage looks like either."""
    whole = folder / "whole"
    whole.mkdir()
    manifest.begin(whole)
    for epoch in (b"0", b"1"):
        manifest.write(whole, {"a.safetensors": b"a" + epoch, "last.ckpt": b"state" + epoch}, keep=KEEP)
    kills = 0
    while True:
        copy = Path(shutil.copytree(whole, folder / str(kills)))
        if not killed_at(kills, lambda copy=copy: manifest.write(copy, NEW, keep=KEEP)):
            assert contents(copy) == {"last.ckpt": b"state2", "previous.ckpt": b"state1", "a.safetensors": b"a2"}
            return kills
        manifest.verify_all(copy)
        after = contents(copy)
        assert after["last.ckpt"] in (b"state1", b"state2")
        assert after["last.ckpt"] == b"state1" or after["previous.ckpt"] == b"state1"
        assert after["last.ckpt"] == b"state2" or not (copy / "summary.json").exists()
        (copy / "last.ckpt").write_bytes(b"state3")
        try:
            manifest.verify_all(copy)
        except BadInput as error:
            assert "last.ckpt is damaged" in str(error)  # noqa: PT017 - no test
        else:
            raise AssertionError("damage was not noticed")
        (copy / "last.ckpt").write_bytes(after["last.ckpt"])
        manifest.settle(copy)
        manifest.verify_all(copy)
        assert all(len(states) == 1 for states in manifest.read(copy)["files"].values())
        kills += 1


def kill_starts(folder: Path) -> int:
    """Kill the start of a run everywhere; the same command goes on."""
    kills = 0
    while killed_at(kills, lambda place=folder / str(kills): start(place)):
        start(folder / str(kills))
        manifest.verify_all(folder / str(kills))
        kills += 1
    return kills


def start(folder: Path) -> None:
    with RunFolder(folder, dict(CONFIG)) as run:
        run.start_logs([])


if __name__ == "__main__":
    print({"write": kill_writes, "start": kill_starts}[sys.argv[1]](Path(sys.argv[2])))
