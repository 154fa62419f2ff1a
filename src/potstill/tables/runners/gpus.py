"""Which GPUs a table may use: ``--gpus all``, a number of them, or a list."""

import os
import shutil
import subprocess
from collections.abc import Sequence

from potstill.errors import BadInput, shown


def gpus_here() -> list[str]:
    """The GPUs of this machine as CUDA_VISIBLE_DEVICES spells them: those it names, or all there are."""
    if (visible := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        named = [name.strip() for name in visible.split(",")]
        return named[: named.index("-1")] if "-1" in named else [name for name in named if name]
    if shutil.which("nvidia-smi"):
        command = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
        asked = subprocess.run(command, capture_output=True, text=True, check=False)
        return asked.stdout.split() if asked.returncode == 0 else []  # it is there, and finds no driver
    import torch  # knows AMD's, too; takes seconds, for a question that is only asked with --gpus

    return [str(number) for number in range(torch.cuda.device_count())]


def chosen(wanted: str, there: Sequence[str]) -> list[str]:
    """The GPUs that ``--gpus`` means, of those that are there.

    Args:
        wanted: "all", a number of GPUs ("2"), or a list of them ("0,3"; "3," is number 3 alone).
        there: their names.

    Raises:
        BadInput: they are not there; the message names those that are.

    >>> chosen("2", ["0", "1", "2"]), chosen("2,", ["0", "1", "2"]), chosen("all", ["0", "1"])
    (['0', '1'], ['2'], ['0', '1'])
    """
    if not there:
        raise BadInput(f"--gpus {wanted}: there is no GPU here; leave it out")
    if wanted == "all":
        return list(there)
    count, names = parsed(wanted)
    if count is not None and count > len(there):
        raise BadInput(f"--gpus {count}: there are {len(there)} here ({', '.join(there)})")
    if missing := [name for name in names if name not in there]:
        raise BadInput(f"--gpus {wanted}: there is no GPU {missing[0]} here; there are {', '.join(there)}")
    return list(there[:count]) if count is not None else names


def parsed(wanted: str) -> tuple[int | None, list[str]]:
    """How many GPUs, or the names in a list.

    Raises:
        BadInput: it is neither.

    >>> parsed("3"), parsed("0,1"), parsed("0,")
    ((3, []), (None, ['0', '1']), (None, ['0']))
    """
    names = [name.strip() for name in wanted.split(",")]
    if len(names) == 1:
        if not wanted.isdecimal():
            raise BadInput(f"--gpus is {shown(wanted)}: give all, how many, or a list such as 0,1")
        if len(wanted) > 4 or int(wanted) < 1:
            raise BadInput(f"--gpus must be 1 or more and at most 9,999, not {shown(wanted)}; GPU 0 alone is '0,'")
        return int(wanted), []
    listed = names[:-1] if not names[-1] else names
    if not all(listed):
        raise BadInput(f"--gpus {wanted} has an empty place between its commas")
    if twice := [name for i, name in enumerate(listed) if name in listed[:i]]:
        raise BadInput(f"--gpus {wanted} names GPU {twice[0]} twice; more --jobs than GPUs share them")
    return None, listed
