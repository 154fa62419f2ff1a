"""Modules of a user's own, each folder's for itself: they import their neighbours, and shadow nobody's.

A folder is a package of a name of its own, so that two folders may hold modules of one name. ``import blocks`` in one
of its modules means its neighbour ``blocks.py``, if there is one; whenever it runs, and for that module alone. Modules
of Python and of the libraries here are never taken for neighbours. Nothing but the source counts: a compiled file that
lies beside it could hold something else.
"""

import builtins
import importlib.util
import os
import sys
from collections.abc import Sequence
from hashlib import sha256
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

PREFIX = "_own_"
"""How the packages of users' folders are called."""
NEVER = sys.stdlib_module_names | {"potstill", "torch", "torchvision", "timm", "numpy", "PIL", "safetensors", "pyarrow"}
"""Modules that no neighbour stands in for."""
_sources: dict[str, tuple[str, bytes]] = {}  # of the modules that have run: file and content


def load_file(file: Path) -> ModuleType:
    """Run a Python file as a module, or take what it was when it ran, if none of its folder's has changed since.

    A file of a package can import that package.

    Raises:
        Exception: whatever it raises.
    """
    _install()
    file = file.resolve()
    base = base_of(file)
    root, parts = _root(base), file.relative_to(base).with_suffix("").parts
    packages, stem = parts[:-1], parts[-1]
    _forget_changed(root)
    # What has no name that Python could import gets one.
    stem = stem if stem.isidentifier() else f"file_{sha256(os.fsencode(stem)).hexdigest()[:12]}"
    name = ".".join([root, *packages] if packages and stem == "__init__" else [root, *packages, stem])
    for count in range(1, len(packages) + 1):
        importlib.import_module(".".join([root, *packages[:count]]))
    if name in sys.modules and _sources.get(name, ("", b""))[0] == str(file):
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file, loader=_Loader(name, str(file)))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their own module up, and neighbours may import it back
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def base_of(file: Path) -> Path:
    """The folder that a file's imports start from: above the package that it is a module of, if it is."""
    folder = file.resolve().parent
    while (folder / "__init__.py").is_file() and folder.name.isidentifier():
        folder = folder.parent
    return folder


def is_own(module: str) -> bool:
    """Whether a module of that name is a user's, loaded by `load_file`."""
    return module.startswith(PREFIX)


def neighbour(top: str, folder: Path) -> Path | None:
    """The module or package ``top`` in a folder; None if there is none, or it is no neighbour's name.

    A folder without ``__init__.py`` counts only if nothing else has that name.
    """
    if top in NEVER or is_own(top):
        return None
    for file in (folder / top / "__init__.py", folder / f"{top}.py"):
        if file.is_file():
            return file
    if (folder / top).is_dir() and top not in sys.modules and PathFinder.find_spec(top) is None:
        return folder / top
    return None


class _Loader(SourceFileLoader):
    """Compiles the source, whatever compiled files lie beside it, and lets the module import its neighbours."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        _sources[fullname] = (path, self.get_data(path))
        code: CodeType = self.source_to_code(_sources[fullname][1], path)
        return code

    def exec_module(self, module: ModuleType) -> None:
        vars(module)["__builtins__"] = {**vars(builtins), "__import__": _import}
        super().exec_module(module)


class _Finder(MetaPathFinder):
    """Finds the modules in users' folders, and only there."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not is_own(fullname) or path is None:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader) and spec.origin is not None:
            locations = spec.submodule_search_locations
            loader = _Loader(fullname, spec.origin)
            return importlib.util.spec_from_file_location(
                fullname, spec.origin, loader=loader, submodule_search_locations=locations
            )
        return spec


_finder = _Finder()


def _install() -> None:
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)


def _root(base: Path) -> str:
    """The package that stands for a folder."""
    name = f"{PREFIX}{sha256(os.fsencode(base)).hexdigest()[:12]}"
    if name not in sys.modules:
        package = ModuleType(name)
        package.__path__ = [str(base)]
        sys.modules[name] = package
    return name


def _forget_changed(root: str) -> None:
    """Let the modules of a folder be read again if one of their files has changed."""
    loaded = [name for name in sys.modules if name.startswith(f"{root}.") and name in _sources]
    if any(_read(Path(file)) != content for file, content in (_sources[name] for name in loaded)):
        for name in [name for name in sys.modules if name.startswith(f"{root}.")]:
            del sys.modules[name]


def _read(file: Path) -> bytes | None:
    return file.read_bytes() if file.is_file() else None


def _import(
    name: str,
    globals: dict[str, Any] | None = None,
    locals: dict[str, Any] | None = None,
    fromlist: Sequence[str] = (),
    level: int = 0,
) -> ModuleType:
    """``import`` as it is written in a user's module."""
    if level == 0 and globals is not None and (package := _package_of(name.partition(".")[0], globals)):
        whole = importlib.import_module(f"{package}.{name}")
        if not fromlist:
            return sys.modules[f"{package}.{name.partition('.')[0]}"]
        return builtins.__import__(whole.__name__, globals, locals, fromlist, 0)
    return builtins.__import__(name, globals, locals, fromlist, level)


def _package_of(top: str, globals: dict[str, Any]) -> str | None:
    """The package of a user's in which the importing module has a neighbour ``top``: its root, or its own package."""
    root = str(globals.get("__name__")).partition(".")[0]
    if root not in sys.modules or not is_own(root):
        return None
    own = str(globals.get("__package__") or root)
    for package in dict.fromkeys([root, own]):
        folders = getattr(sys.modules.get(package), "__path__", ())
        if any(neighbour(top, Path(folder)) for folder in folders):
            return package
    return None
