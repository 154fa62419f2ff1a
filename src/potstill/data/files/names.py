"""Names of folders and files: which are splits, which are litter, which are two spellings of one."""

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from potstill.errors import BadInput

T = TypeVar("T")

TRAIN, TEST = ("train", "training"), ("val", "valid", "validation", "test", "testing")
"""What the two splits' folders (in any case) and files may be called; the first that is there counts."""
SPLIT_WORDS = {
    "train": ("train", "training", "trainset", "trn"),
    "test": (*TEST, "testset", "valset", "validationset", "eval", "evaluation", "dev", "tst"),
}
LITTER = frozenset({
    "__macosx", "@eadir", "lost+found", "found.000", "thumbnails", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r",
    "$recycle.bin", "recycler", "recycled", "#recycle", "#snapshot", "@recycle", "@recently-snapshot", "@tmp",
    "@sharebin", "system volume information", "network trash folder", "temporary items", "__pycache__", "picasa.ini",
})  # fmt: skip
"""What systems and their programs leave in folders besides hidden files, in small letters."""
LISTED = 8
"""Names of classes that a sentence has at most."""


def is_litter(name: str) -> bool:
    """Whether a file or a folder is nobody's data: a system's, or hidden."""
    return name.startswith(".") or name.lower() in LITTER


def say_litter(found: Sequence[str]) -> list[str]:
    """One sentence about what was left out, if anything was."""
    kinds = Counter("._*" if name.startswith("._") else name for name in found)
    listed = ", ".join(kind if count == 1 else f"{kind} ({count})" for kind, count in kinds.most_common(6))
    more = len(kinds) - 6
    return (
        [f"left out as litter of a system, or hidden: {listed}{f' and {more} more' if more > 0 else ''}"]
        if kinds
        else []
    )


def split_named(entries: Mapping[str, T], names: Iterable[str]) -> tuple[str, T] | None:
    """The first of the ``names`` of a split that is among ``entries``, in any case, as it is spelled there."""
    spelled = {name.lower(): name for name in entries}  # of train and Train, the last in order: train
    found = next((spelled[name] for name in names if name in spelled), None)
    return None if found is None else (found, entries[found])


def split_word(name: str) -> str | None:
    """Whether a name speaks of "train" or of "test" images, such as ``training_set`` or ``seg_test``."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
    words = [word for word in re.split(r"[^a-z]+", spaced) if word]
    return next((kind for kind, known in SPLIT_WORDS.items() if any(word in known for word in words)), None)


def must_look_different(names: Iterable[str], where: str) -> None:
    """Refuse two names that look the same: in two spellings of Unicode, or with a space that nobody sees.

    Raises:
        BadInput: there are two; the message has their bytes.
    """
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(looks(name), name)
        if other != name:
            spelled = " and ".join(os.fsencode(one).hex(" ") for one in (other, name))
            raise BadInput(
                f"{where} holds two classes that both look like {looks(name)!r}, of the bytes {spelled}: "
                "move the images of one into the other, or rename it"
            )


def looks(name: str) -> str:
    """A name as it looks, whatever bytes it is of.

    >>> looks("cafe\\u0301 ") == looks("caf\\u00e9")
    True
    """
    seen = "".join(c for c in unicodedata.normalize("NFC", name) if unicodedata.category(c) not in ("Cf", "Cc"))
    return " ".join(seen.split())


def listed(names: Sequence[str], most: int = LISTED) -> str:
    """Names in a sentence, the first of them if there are many.

    >>> listed(["cat", "dog", "fox"], 2)
    'cat, dog, ... (3 in all)'
    """
    return ", ".join(names) if len(names) <= most else f"{', '.join(names[:most])}, ... ({len(names)} in all)"
