"""What goes wrong in a user's hands, and how it is said: one clear line, naming the nearest right value."""

from collections.abc import Iterable
from difflib import get_close_matches


class BadInput(ValueError):
    """A value given by the user cannot be used; the message is all a user needs (exit code 2)."""


class TrainingFailed(RuntimeError):
    """A run broke off while training; the last good checkpoint is still there (exit code 3)."""


def nearest(value: str, valid: Iterable[str], limit: int = 3) -> list[str]:
    """The valid names that look most like ``value``, ``limit`` at most, best first.

    >>> nearest("resnet2", ["resnet20", "resnet56", "wrn-16-2"])
    ['resnet20', 'resnet56']
    """
    return get_close_matches(value, list(valid), n=limit, cutoff=0.5)


def unknown(kind: str, value: str, valid: Iterable[str]) -> BadInput:
    """The error for a name that does not exist, with the nearest that do.

    >>> print(unknown("loss", "KDD", ["KD", "AT"]))
    unknown loss 'KDD'; did you mean KD?
    """
    names = list(valid)
    near = nearest(value, names)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names)}"
    return BadInput(f"unknown {kind} {value!r}; {hint}")


def first_line(error: BaseException) -> str:
    """The first line of an error's message: the rest of a library's is mostly for its developers."""
    return str(error).partition("\n")[0]
