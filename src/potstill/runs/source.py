"""A user's own code travels with the run: the files of its networks and losses, and the neighbours they import."""

import ast
from collections.abc import Iterator, Sequence
from importlib.machinery import PathFinder
from pathlib import Path, PurePosixPath

from potstill.configured import CONFIG as CONFIGURATION
from potstill.configured import configuration_of
from potstill.guard import LIBRARIES as PLACES
from potstill.guard import OURS
from potstill.own_modules import NEVER, base_of, neighbour
from potstill.runs.names import SOURCE
from potstill.runs.schema import Config, Network

LIBRARIES = ("timm", "torchvision", "hf")
"""Those that specs name directly."""


def needs_code(spec: str | None) -> bool:
    """Whether making a network of that spec runs a user's function."""
    home, colon, _ = (spec or "").rpartition(":")
    return bool(colon) and (home.partition(":")[0] not in LIBRARIES or home.endswith(".py"))


def source_of(spec: str | None) -> Path | None:
    """The file of a user's own that a spec names, or that defines its network; None for what is installed or not there.

    Raises:
        BadInput: a configuration that has the form of the Hub's cannot be had.
    """
    if (configuration := configuration_of(str(spec))) is not None:
        return configuration
    if not needs_code(spec):
        return None
    home = str(spec).rpartition(":")[0]
    if home.endswith(".py"):
        return Path(home).resolve() if Path(home).is_file() else None
    parts = home.split(".")
    entry = _entry_of(parts[0])
    found = None if entry is None else _file_of(parts, entry)
    return found if found is None else found.resolve()


def gather(config: Config) -> tuple[Config, dict[str, bytes]]:
    """A configuration whose networks and losses name files where they lie, with the names of their copies instead.

    Returns:
        It, and the copies: contents by their names in the run folder. Each folder of the user's is one below
        ``source``, in which everything is where the imports look for it.
    """
    folders: dict[Path, str] = {}
    copies: dict[str, bytes] = {}

    def copied(file: str) -> str:
        path = Path(file)
        if not path.is_absolute():  # it is one of the folder's already
            return file
        configured = path.name == CONFIGURATION
        base = path.parent if configured else base_of(path)
        folder = folders.setdefault(base, f"{SOURCE}/{len(folders) + 1}")
        files = {path.name: path.read_bytes()} if configured else files_of(path)
        for name, content in files.items():
            copies.setdefault(f"{folder}/{name}", content)
        return f"{folder}/{path.relative_to(base).as_posix()}"

    def network(given: Network) -> Network:
        found = given
        if source := given.get("source"):
            found = {**found, "source": copied(source)}
        if members := given.get("mean_of"):
            found = {**found, "mean_of": [network(member) for member in members]}
        return found

    networks = {name: network(entry) for name, entry in config["networks"].items()}
    new: Config = {**config, "networks": networks}
    if losses := config.get("losses"):
        new["losses"] = [copied(file) for file in losses]
    return new, copies


def files_of(file: Path) -> dict[str, bytes]:
    """A file and all of the user's own that it imports, directly or not: contents by names relative to `base_of`."""
    base = base_of(file)
    found: dict[str, bytes] = {}
    waiting = [(file.resolve().relative_to(base).as_posix(), file.resolve())]
    while waiting:
        name, path = waiting.pop()
        if name not in found:
            found[name] = path.read_bytes() if path.is_file() else b""  # a package without __init__.py gets one
            waiting += _imported(found[name], PurePosixPath(name), base)
    return dict(sorted(found.items()))


def _imported(content: bytes, name: PurePosixPath, base: Path) -> Iterator[tuple[str, Path]]:
    """The files that a module imports, as far as they are the user's."""
    package = name.parts[:-1]
    for level, dotted in _imports(content):
        parts = dotted.split(".") if dotted else []
        if level:
            yield from _way((*package[: len(package) - level + 1], *parts), base)
            continue
        own = base.joinpath(*package)
        if neighbour(parts[0], base):
            yield from _way(parts, base)
        elif neighbour(parts[0], own):
            yield from _way((*package, *parts), base)
        elif entry := _entry_of(parts[0]):
            yield from _way(parts, entry)


def _imports(content: bytes) -> Iterator[tuple[int, str]]:
    """What is imported anywhere in a source: how many dots, and the dotted name; also names that may be modules."""
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError, RecursionError):  # who imports it will be told
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            yield (node.level, module)
            yield from ((node.level, f"{module}.{alias.name}".strip(".")) for alias in node.names)


def _way(parts: Sequence[str], base: Path) -> Iterator[tuple[str, Path]]:
    """A module's file, and those of the packages around it."""
    file = _file_of(parts, base)
    if file is None:
        return
    yield file.relative_to(base).as_posix(), file
    for count in range(1, len(parts)):
        init = base.joinpath(*parts[:count], "__init__.py")
        yield init.relative_to(base).as_posix(), init


def _file_of(parts: Sequence[str], base: Path) -> Path | None:
    module = base.joinpath(*parts)
    if not parts:
        return None
    return next(
        (file for file in (module / "__init__.py", module.with_name(f"{parts[-1]}.py")) if file.is_file()), None
    )


def _entry_of(top: str) -> Path | None:
    """The folder in which Python finds a module that is neither its own nor a library's."""
    if top in NEVER or not top.isidentifier():
        return None
    spec = PathFinder.find_spec(top)
    places = [] if spec is None else [*(spec.submodule_search_locations or ()), *([spec.origin] if spec.origin else ())]
    if not places or str(places[0]).startswith((OURS, *PLACES)):
        return None
    return Path(places[0]).parent
