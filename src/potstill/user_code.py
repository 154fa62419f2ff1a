"""A user's own functions and classes, out of an installed module or a file."""

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from potstill.errors import BadInput, unknown
from potstill.home import at_home


def find_callable(home: str, name: str, kind: str) -> Any:
    """The callable ``name`` of the Python file or importable module ``home``; ``kind`` is what messages call it.

    Raises:
        BadInput: no such file or module, or nothing of that name in it.
    """
    module = _from_file(at_home(Path(home)), kind) if home.endswith(".py") else _from_import(home, kind)
    found = getattr(module, name, None)
    if not callable(found):
        public = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise unknown(f"{kind} in {home}", name, public)
    return found


def _from_import(home: str, kind: str) -> ModuleType:
    try:
        return importlib.import_module(home)
    except ImportError as error:
        raise BadInput(f"cannot import {home!r} for a {kind}: {error}") from error


def _from_file(path: Path, kind: str) -> ModuleType:
    """Run a Python file as a module of its own; its whole path is its name, so that no other is shadowed."""
    if not path.is_file():
        raise BadInput(f"no file {str(path)!r} for a {kind}")
    spec = importlib.util.spec_from_file_location(str(path.resolve()), path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their own module up
    spec.loader.exec_module(module)
    return module
