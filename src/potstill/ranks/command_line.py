"""A command line that several processes run: one of them talks."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

from potstill.errors import BadInput
from potstill.ranks.launch import Launch, launched


@contextmanager
def one_voice() -> Iterator[None]:
    """Nothing on stdout from any but rank 0."""
    launch = _known()
    if launch is None or launch.rank == 0:
        yield
        return
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):
        yield


def gather(command: str) -> None:
    """Meet the other processes of this command, if there are any.

    Raises:
        BadInput: the command does not train one run; or the others do not come.
    """
    launch = launched()
    if launch is None:
        return
    from potstill import recipes

    if command.replace("-", "_") not in recipes.__all__ and not command.startswith("run "):
        raise BadInput(
            f"{command} is for one process, and {launch.size} were started; together they train one run: "
            "a recipe, or run FILE.py"
        )
    from potstill.ranks.world import join

    join()


def last_word() -> bool:
    """Whether this process is to say what has ended it; of several, the first one that asks."""
    launch = _known()
    if launch is None:
        return True
    from potstill.ranks.speaking import claim
    from potstill.say import mute

    speaks = claim(launch)
    mute(not speaks)
    return speaks


def _known() -> Launch | None:
    """What the environment says; nothing if that is wrong, which is said where a command begins."""
    try:
        return launched()
    except BadInput:
        return None
