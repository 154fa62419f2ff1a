"""Whether this process is one of several that train one run: what torchrun, or whoever started it, says.

Nothing here imports torch.
"""

import os
from dataclasses import dataclass

from potstill.errors import BadInput

WHERE = ("MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True)
class Launch:
    """Which one of how many processes this is, and the how manyeth on this machine."""

    rank: int
    size: int
    local: int


def launched() -> Launch | None:
    """What the environment says: ``RANK``, ``WORLD_SIZE``, ``LOCAL_RANK``; None of a process that is alone.

    Raises:
        BadInput: it does not say whole numbers that fit together, or not where the processes meet.
    """
    if "RANK" not in os.environ or _number("WORLD_SIZE", 1) == 1:
        return None
    rank, size, local = _number("RANK", 0), _number("WORLD_SIZE", 1), _number("LOCAL_RANK", 0)
    if rank >= size:
        raise BadInput(f"RANK is {rank}, but of WORLD_SIZE={size} processes the last one is {size - 1}")
    for name in WHERE:
        if not os.environ.get(name):
            raise BadInput(f"{name} is not set, by which {size} processes find each other; start them with torchrun")
    return Launch(rank, size, local)


def _number(name: str, default: int) -> int:
    text = os.environ.get(name, str(default))
    if not text.isdecimal():
        raise BadInput(f"{name} is {text!r} in the environment, and must be a whole number: start it with torchrun")
    return int(text)
