"""``~`` at the beginning of a path: nobody means a folder of that name."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

from potstill.checked import Settings

T = TypeVar("T")


def at_home(value: T) -> T:
    """A path, or a text that may be one, with the user's home folder for a ``~`` in front; likewise inside of a tuple.

    Whatever else it is, it stays. A folder that is called ``~`` is ``./~``.

    >>> at_home("0.1 * CE"), at_home(3), at_home(Path("runs/~"))
    ('0.1 * CE', 3, PosixPath('runs/~'))
    >>> at_home("~/runs") == str(Path.home() / "runs")
    True
    """
    found: Any = value
    if isinstance(value, Path | str) and str(value).startswith("~"):
        try:
            expanded = Path(value).expanduser()
        except RuntimeError:  # no user of that name
            return value
        found = expanded if isinstance(value, Path) else str(expanded)
    elif type(found) is tuple:
        found = tuple(at_home(part) for part in found)
    return found  # type: ignore[no-any-return]


def word_at_home(word: str) -> str:
    """The same for a word of a command line, ``--out=~/runs`` included.

    >>> word_at_home("--out=~/runs") == f"--out={Path.home()}/runs"
    True
    """
    flag, is_flag, value = word.partition("=")
    return f"{flag}={at_home(value)}" if word.startswith("--") and is_flag else at_home(word)


@dataclass(frozen=True)
class Expanded(Settings):
    """Settings whose paths may begin with ``~`` or be texts, and are whole once they are made."""

    def __post_init__(self) -> None:
        super().__post_init__()
        hints = get_type_hints(type(self))
        for field in fields(self):
            value = getattr(self, field.name)
            kinds = get_args(hints[field.name])
            given = Path(value) if isinstance(value, str) and Path in kinds and str not in kinds else value
            if (expanded := at_home(given)) is not value:
                object.__setattr__(self, field.name, expanded)
