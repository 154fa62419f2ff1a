"""What goes wrong in a user's hands, and how it is said: one clear line, naming the nearest right value."""

import re
from collections.abc import Iterable
from difflib import get_close_matches

LONGEST = 300  # characters of a value in a message, 1000 if it has spaces
MOST_NAMES = 30  # in a message
VALUE = re.compile(rf"\S{{{LONGEST},}}|'[^']{{1000,}}'|\"[^\"]{{1000,}}\"")


class BadInput(ValueError):
    """A value given by the user cannot be used; the message is all a user needs (exit code 2).

    >>> print(BadInput(f"no network {'resnet' * 1000!r}"))
    no network 'resnetresnet...snetresnet' (6,002 characters)
    """

    def __init__(self, message: object) -> None:
        super().__init__(shortened(str(message)))


class TrainingFailed(RuntimeError):
    """A run broke off while training; the last good checkpoint is still there (exit code 3)."""


class Lost(TrainingFailed):
    """Another process of the run has ended, which this one cannot do without."""

    lost = True


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
    more = f" and {len(names) - MOST_NAMES:,} more" if len(names) > MOST_NAMES else ""
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names[:MOST_NAMES])}{more}"
    return BadInput(f"unknown {kind} {value!r}; {hint}")


def shown(value: object) -> str:
    """A value as messages show it, on one line that is not too long.

    >>> shown("maen"), shown(10**5000)
    ("'maen'", 'a number of about 5,000 digits')
    """
    if isinstance(value, int) and value.bit_length() > 300:  # Python refuses to write the longest out
        return f"a number of about {round(value.bit_length() * 0.30103):,} digits"
    try:
        text = " ".join(repr(value).split())
    except Exception:  # of anybody's class, or a list of such numbers: a message is no place to fail
        return f"a {type(value).__name__}"
    return text if len(text) <= LONGEST // 3 else f"{text[: LONGEST // 3]}..."


def shortened(message: str) -> str:
    """A message whose values are cut in their middle where they are too long to be read."""
    return VALUE.sub(_cut, message)


def _cut(found: re.Match[str]) -> str:
    text = found[0]
    return f"{text[:13]}...{text[-11:]} ({len(text):,} characters)"


def first_line(error: BaseException) -> str:
    """The first line of an error's message: the rest of a library's is mostly for its developers."""
    return str(error).partition("\n")[0]
