"""A user's own functions and classes, out of an installed module or a file."""

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

from potstill.errors import BadInput, unknown
from potstill.guard import foreign
from potstill.home import at_home
from potstill.own_modules import load_file


def find_callable(home: str, name: str, kind: str) -> Any:
    """The callable ``name`` of the Python file or importable module ``home``; ``kind`` is what messages call it.

    Raises:
        BadInput: no such file or module, nothing of that name in it, or it raises anything when it is run.
    """
    if not home or not name:
        raise BadInput(f"a {kind} of one's own is file.py:NAME or package.module:NAME, not {f'{home}:{name}'!r}")
    with foreign(f"{kind} {f'{home}:{name}'!r}"):
        module = _from_file(at_home(Path(home)), kind) if home.endswith(".py") else _from_import(home, kind)
        found = getattr(module, name, None)
        public = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
    if not callable(found):
        raise unknown(f"{kind} in {home}", name, public)
    return found


def _from_import(home: str, kind: str) -> ModuleType:
    try:
        return importlib.import_module(home)
    except ImportError as error:
        raise BadInput(f"cannot import {home!r} for a {kind}: {error}") from error


def _from_file(path: Path, kind: str) -> ModuleType:
    if not path.is_file():
        raise BadInput(f"no file {str(path)!r} for a {kind}")
    return load_file(path)
