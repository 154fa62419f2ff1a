"""Answers in one file, to take them elsewhere."""

import json
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from potstill.answers.entries import Entries
from potstill.answers.key import Key, difference, name_of
from potstill.errors import BadInput
from potstill.whole_file import drafted, write_whole

ENTRIES, KEY = ".answers", ".json"


def pack(answers: Path, file: Path) -> int:
    """Write all answers that are kept in ``answers``, a file ``*.answers`` of a teacher cache, into one file.

    The file is safetensors: ``answers`` (n, bytes) as they lie in memory, ``slots`` and ``views`` (n,), and in its
    metadata the key, which says of which teacher, data and arithmetic they are.

    Returns:
        How many they are.

    Raises:
        BadInput: these are no answers.

    >>> pack(Path("nowhere.answers"), Path("out.safetensors"))
    Traceback (most recent call last):
    potstill.errors.BadInput: nowhere.answers holds no answers: nowhere.json is missing or damaged
    """
    key, slots, width = described(answers)
    entries = Entries(answers, slots, width)
    try:
        filled = entries.filled()
        views = entries.views(filled)
        content = entries.read(filled, views)[1]
        tensors = {"answers": content, "slots": filled, "views": views}
        ready = {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in tensors.items()}
        with drafted(file) as draft:
            save_file(ready, draft, {"about": json.dumps({"key": key, "slots": slots})})
    finally:
        entries.close()
    return len(filled)


def unpack(file: Path, folder: Path, wanted: Key | None = None) -> Path:
    """Put answers that `pack` wrote into a teacher cache, beside what is there.

    Args:
        file: where they are.
        folder: the cache.
        wanted: the key that they must have, if there is one.

    Returns:
        The file that holds them now.

    Raises:
        BadInput: it is no such file, or it holds answers of another key; the message says what differs.
        OSError: the disk is full, or the like.
    """
    try:
        with safe_open(file, framework="np") as packed:
            about = json.loads((packed.metadata() or {})["about"])
            key, slots = about["key"], int(about["slots"])
            tensors = {name: packed.get_tensor(name) for name in ("answers", "slots", "views")}
            named = name_of(key)
    except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
        raise BadInput(f"{file} holds no answers of a teacher: {error}") from error
    if wanted is not None and (different := difference(key, wanted)) is not None:
        raise BadInput(f"{file} holds answers of another teacher, data or arithmetic: {different}")
    width = tensors["answers"].shape[1]
    entries = opened(folder, key, slots, width)
    try:
        assert entries.path.stem == named
        inside = (tensors["slots"] >= 0) & (tensors["slots"] < slots)
        entries.write(*(tensors[name][inside] for name in ("slots", "views", "answers")))
    finally:
        entries.close()
    return entries.path


def opened(folder: Path, key: Key, slots: int, width: int) -> Entries:
    """The entries of a key in a cache's folder, which is made if need be, and what describes them beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    about, answers = (folder / f"{name_of(key)}{end}" for end in (KEY, ENTRIES))
    if about.is_file() and answers.is_file():
        slots = max(slots, described(answers)[1])  # of a longer run
    text = json.dumps({"key": dict(key), "slots": slots, "width": width}, indent=1)
    if not about.is_file() or about.read_text("utf-8") != text:
        write_whole(about, text.encode())
    return Entries(answers, slots, width)


def described(answers: Path) -> tuple[Key, int, int]:
    """The key of a file of answers, its slots, and the bytes of an answer.

    Raises:
        BadInput: nothing describes it.
    """
    about = answers.with_suffix(KEY)
    try:
        found = json.loads(about.read_text("utf-8"))
        key, slots, width = dict(found["key"]), int(found["slots"]), int(found["width"])
        if name_of(key) != answers.stem or not answers.is_file():
            raise ValueError("of others")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{answers} holds no answers: {about} is missing or damaged") from error
    return key, slots, width
