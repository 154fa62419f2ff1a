"""Any command that runs another one somewhere else: ``ssh host cd project && {}``."""

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from potstill.errors import BadInput, shown
from potstill.tables.jobs import Ended, Job
from potstill.tables.runners.local import seen
from potstill.tables.runners.process import Process

BLANK = "{}"
LOST = 255
"""The exit code that is ssh's own, for a connection that failed or broke; no command of ours has it."""


@dataclass(frozen=True)
class Elsewhere:
    """A place for one process at a time behind a command template.

    Args:
        words: the template's words; ``{}`` in them is replaced by the command, quoted for a shell.
        environment: what the process there sees besides.
        host: what messages call it.
    """

    words: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    host: str

    def start(self, job: Job) -> "Remote":
        """Start a job."""
        return Remote(job, self.command(job), os.environ, self.host)

    def command(self, job: Job) -> list[str]:
        """The words that run a job there; no shell of this machine reads them."""
        set_first = ["env", *(f"{name}={value}" for name, value in self.environment)] if self.environment else []
        command = shlex.join([*set_first, *job.command])
        return [word.replace(BLANK, command) for word in self.words]


class Remote(Process):
    """The process here that keeps up the connection to the one there."""

    def __init__(self, job: Job, command: Sequence[str], environment: "os._Environ[str]", host: str) -> None:
        super().__init__(job, command, environment)
        self.host = host

    def poll(self) -> Ended | None:
        """How it ended; lost, if what ended is the connection."""
        ended = super().poll()
        if ended is None or self.process.returncode != LOST:
            return ended
        return Ended(f"connection lost: {self.host}: {ended.failure}", lost=True)


def elsewhere(templates: Sequence[str], each: int, gpus: Sequence[str] = ()) -> list[Elsewhere]:
    """Places on the hosts that the templates lead to, ``each`` on every one, which take its GPUs in turn.

    >>> from pathlib import Path
    >>> [place] = elsewhere(["ssh a cd project && {}"], 1, ["3"])
    >>> place.command(Job("x", ("python", "-c", "print(1)"), Path("log")))[-1]
    "env CUDA_VISIBLE_DEVICES=3 CUDA_DEVICE_ORDER=PCI_BUS_ID python -c 'print(1)'"
    """
    words = [split(template) for template in templates]
    # The first places of all hosts come first: few jobs are spread over many machines.
    return [
        Elsewhere(words[i], tuple(seen(gpus, place).items()), _name(templates[i]))
        for place in range(each)
        for i in range(len(templates))
    ]


def split(template: str) -> tuple[str, ...]:
    """The words of a template.

    Raises:
        BadInput: it has no ``{}``, or an open quote.
    """
    try:
        words = tuple(shlex.split(template))
    except ValueError as error:
        raise BadInput(f"--via {shown(template)} is no command: {error}".replace("No ", "no ")) from error
    if not any(BLANK in word for word in words):
        raise BadInput(f"--via {shown(template)} has no {{}}, in whose place the command goes")
    return words


def _name(template: str) -> str:
    return template if len(template) <= 60 else f"{template[:57]}..."
