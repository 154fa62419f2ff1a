"""Who holds a run folder: a process of a machine, and whether that can still be there."""

import json
import os
import platform
import time
from pathlib import Path
from secrets import token_hex
from typing import NotRequired, TypedDict

from potstill.runs.json_text import parse
from potstill.runs.shapes import check

MISSED = 9
"""After that many beats without a sign of life, whoever holds a folder counts as gone."""


class Holder(TypedDict):
    """Who holds a folder.

    ``started``: when the process did, in the kernel's ticks, since numbers are given again. ``kernel``: tells machines
    and containers of one name apart. ``beat``: every how many seconds the file is touched; earlier versions did not.
    """

    process: int
    machine: str
    since: str
    started: NotRequired[str | None]
    kernel: NotRequired[str | None]
    beat: NotRequired[float]
    token: NotRequired[str]


def this_process(machine: str, beat: float) -> bytes:
    """What this process says of itself; never twice the same."""
    me: Holder = {
        "process": os.getpid(),
        "machine": machine,
        "since": time.strftime("%Y-%m-%d %H:%M:%S"),
        "started": _started(os.getpid()),
        "kernel": _kernel(),
        "beat": beat,
        "token": token_hex(8),
    }
    return (json.dumps(me) + "\n").encode()


def read_holder(content: bytes) -> Holder | None:
    """What a file says of who holds a folder; None while it is being written."""
    try:
        return check(parse(content), Holder)
    except ValueError:  # BadInput is one
        return None


def called(holder: Holder | None) -> str:
    """Who that is, for a message."""
    if holder is None:  # it has only just taken the folder
        return "another process"
    return "process {process} on {machine} since {since}".format(**holder)


def is_here(holder: Holder, machine: str) -> bool:
    """Whether it is a process of this very machine, whose kernel knows all about it."""
    kernel = holder.get("kernel")
    return holder["machine"] == machine and (kernel is None or kernel == _kernel())


def is_alive(holder: Holder) -> bool:
    """Whether a process of this machine is still there."""
    try:
        os.kill(holder["process"], 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # of another user
        pass
    started = holder.get("started")
    return started is None or started == _started(holder["process"])


def limit(holder: Holder) -> float | None:
    """How many seconds its file may lie untouched; None where nobody touches it."""
    beat = holder.get("beat")
    return None if beat is None else MISSED * beat


def this_machine() -> str:
    """What messages call this machine."""
    return platform.node()


def _started(process: int) -> str | None:
    """When a process started, in ticks since the machine did; None where the system does not tell."""
    try:
        text = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return None
    return text.rpartition(")")[2].split()[19]


def _kernel() -> str | None:
    """This start of this machine, and the container in it; None where the system does not tell."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return None
