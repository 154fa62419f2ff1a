"""JSON as strangers write it: what Python's reader lets through, though nothing that follows could use it."""

import json
from typing import Any

MOST_BYTES = 1 << 28
"""A file of a run is some kilobytes, with attention maps some megabytes."""
DEEPEST = 64
LARGEST = 1 << 64


def parse(content: bytes) -> Any:
    """What a JSON file says.

    Raises:
        ValueError: it is no JSON in UTF-8, says one key twice, or holds what no file of a run does: text that is none,
            brackets in brackets in brackets, whole numbers of more than 64 bits.

    >>> parse(b'{"epochs": 3, "epochs": 4}')
    Traceback (most recent call last):
    ValueError: 'epochs' stands there twice
    """
    if len(content) > MOST_BYTES:
        raise ValueError(f"it has {len(content):,} bytes; at most {MOST_BYTES:,} are read")
    try:
        value = json.loads(content.decode(), object_pairs_hook=_object)
    except RecursionError as error:  # for thousands of brackets
        raise ValueError(f"brackets are nested more than {DEEPEST} deep") from error
    _check(value)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"{key[:40]!r} stands there twice")
        found[key] = value
    return found


def _check(whole: Any) -> None:
    """Look at every value, without a call a level."""
    level = [whole]
    for _ in range(DEEPEST):
        below: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                below += [*value, *value.values()]
            elif isinstance(value, list):
                below += value
            elif isinstance(value, str):
                _must_be_text(value)
            elif isinstance(value, int) and abs(value) >= LARGEST:
                raise ValueError("a whole number has more than 64 bits")
        if not below:
            return
        level = below
    raise ValueError(f"brackets are nested more than {DEEPEST} deep")


def _must_be_text(value: str) -> None:
    if "\0" in value or not (value.isascii() or _has_code(value)):
        raise ValueError(f"{value[:40]!r} is no text")


def _has_code(value: str) -> bool:
    """Whether UTF-8 has a code for it; half a surrogate pair has none."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
