"""A network's definition as Python source that stands alone: what a file of weights needs to be loaded anywhere."""

import ast
import inspect
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from keyword import iskeyword
from pathlib import Path
from typing import Any

from potstill.configured import configuration_of
from potstill.networks.built_in import by_name
from potstill.networks.create import CHEAPER, GRAFTED
from potstill.networks.graft import grafted
from potstill.networks.headed import Headed
from potstill.networks.hugging_face import has_classifier, read_config, settings_of
from potstill.networks.substitution import substitute
from potstill.networks.third_party import classes_argument
from potstill.own_modules import base_of
from potstill.user_code import find_callable

OURS = "potstill."


@dataclass(frozen=True)
class Making:
    """How to make a network.

    Args:
        expression: that makes it.
        imports: that the expression takes.
        ours: objects of potstill that it uses: (module, name).
        folder: from which a user's file imports its neighbours.
    """

    expression: str
    imports: tuple[str, ...] = ()
    ours: tuple[tuple[str, str], ...] = ()
    folder: Path | None = None


def making(spec: str, classes: int) -> Making:
    """The Python expression that makes what ``networks.create(spec, classes)`` makes, but for its weights.

    Whatever comes from ``spec`` stands in it as a literal, or is an identifier.
    """
    found = by_name(spec)
    if found is not None:
        function, sizes = found
        numbers = ", ".join(f"{name}={size!r}" for name, size in {**sizes, "classes": classes}.items())
        return Making(f"{function.__name__}({numbers})", ours=((function.__module__, function.__name__),))
    if (parts := re.fullmatch(GRAFTED, spec)) is not None:
        stock, scion = (making(parts[part], classes) for part in ("stock", "scion"))
        return _grafted(stock, scion, parts["at"], parts["bridge"])
    plus = re.fullmatch(CHEAPER, spec)
    if plus is not None:
        whole, cheaper = making(plus["network"], classes), (substitute.__module__, substitute.__name__)
        expression = f"{substitute.__name__}({whole.expression}, {plus['conv']!r})"
        return Making(expression, whole.imports, (*whole.ours, cheaper), whole.folder)
    if (configuration := configuration_of(spec)) is not None:
        return _configured(spec, configuration, classes)
    home, _, name = spec.rpartition(":")
    if home == "timm":
        return Making(f"timm.create_model({name!r}, pretrained=False, num_classes={classes!r})", ("import timm",))
    if home == "torchvision":
        expression = f"get_model({name!r}, weights=None, num_classes={classes!r})"
        return Making(expression, ("from torchvision.models import get_model",))
    given = classes_argument(find_callable(home, name, "network"), classes)
    call = f"({', '.join(f'{keyword}={value!r}' for keyword, value in given.items())})"
    if home.endswith(".py"):
        file = Path(home).resolve()
        expression = f"runpy.run_path({str(file)!r})[{name!r}]{call}"
        return Making(expression, ("import runpy", "import sys"), folder=base_of(file))
    if all(map(_is_name, [*home.split("."), name])):
        return Making(f"{name}{call}", (f"from {home} import {name}",))
    return Making(f"getattr(importlib.import_module({home!r}), {name!r}){call}", ("import importlib",))


def _grafted(stock: Making, scion: Making, at: str, bridge: str | None) -> Making:
    expression = f"{grafted.__name__}({stock.expression}, {scion.expression}, {at!r}, {bridge!r})"
    ours = (*stock.ours, *scion.ours, (grafted.__module__, grafted.__name__))
    return Making(expression, (*stock.imports, *scion.imports), ours, stock.folder or scion.folder)


def _configured(spec: str, file: Path, classes: int) -> Making:
    """The same of a network that a ``config.json`` defines, whose content goes into the expression."""
    if not spec.startswith("hf:"):
        content: dict[str, Any] = json.loads(file.read_text("utf-8"))
        given = {
            "pretrained_cfg": content.get("pretrained_cfg"),
            "num_classes": classes,
            **content.get("model_args", {}),
        }
        return Making(
            f"timm.create_model({content['architecture']!r}, pretrained=False, **{given!r})", ("import timm",)
        )
    config = read_config(file, f"network {spec!r}")
    whole, given = has_classifier(config), settings_of(config, classes)
    kind = "AutoModelForImageClassification" if whole else "AutoModel"
    expression = f"transformers.{kind}.from_config(transformers.AutoConfig.for_model(**{given!r}))"
    if whole:
        return Making(expression, ("import transformers",))
    head = Headed.__module__, Headed.__name__
    return Making(f"{Headed.__name__}({expression}, {classes!r})", ("import transformers",), (head,))


def _is_name(text: str) -> bool:
    return text.isascii() and text.isidentifier() and not iskeyword(text)


def source(objects: Iterable[tuple[str, str]]) -> tuple[list[str], str]:
    """Imports, and the definitions of ``objects`` of potstill with all of potstill that they use, in a working order.

    Nothing else of their modules comes along. What two modules define under one name would be lost: that is an error
    of potstill, which a test looks for in all networks.
    """
    needed = _Needed()
    for module, name in objects:
        needed.take(module, name)
    owners: dict[str, str] = {}
    for module, name in needed.objects:
        assert owners.setdefault(name, module) == module, f"{name} is in {owners[name]} and in {module}"
    parts = []
    for module in needed.modules:
        names = {name for owner, name in needed.objects if owner == module}
        pieces = _read(module).pieces
        parts += list(dict.fromkeys(text for name, text in pieces.items() if name in names))
    return sorted(needed.imports), "\n\n\n".join(parts)


@dataclass
class _Needed:
    """What is needed so far; a module comes after those whose definitions it uses."""

    objects: set[tuple[str, str]] = field(default_factory=set)
    modules: list[str] = field(default_factory=list)
    imports: set[str] = field(default_factory=set)

    def take(self, module: str, name: str) -> None:
        if (module, name) in self.objects:
            return
        self.objects.add((module, name))
        here = _read(module)
        for used in here.uses[name]:
            if used in here.pieces:
                self.take(module, used)
            elif used in here.ours:
                self.take(*here.ours[used])
            elif used in here.imports:
                self.imports.add(here.imports[used])
        if module not in self.modules:
            self.modules.append(module)


@dataclass(frozen=True)
class _Module:
    """A module taken apart: each top-level name's text and the names it uses, and where imported names are from."""

    pieces: dict[str, str] = field(default_factory=dict)
    uses: dict[str, list[str]] = field(default_factory=dict)
    ours: dict[str, tuple[str, str]] = field(default_factory=dict)
    imports: dict[str, str] = field(default_factory=dict)


@cache
def _read(name: str) -> _Module:
    text = inspect.getsource(import_module(name))
    lines, found, end = text.splitlines(), _Module(), 0
    for statement in ast.parse(text).body:
        start, end = end, statement.end_lineno or end
        if isinstance(statement, ast.ImportFrom) and (statement.module or "").startswith(OURS):
            found.ours.update({alias.name: (str(statement.module), alias.name) for alias in statement.names})
        elif isinstance(statement, ast.Import | ast.ImportFrom):
            found.imports.update(_imported(statement))
        else:
            # With the comments above it.
            piece = "\n".join(lines[start:end]).strip("\n")
            for defined in _defined(statement):
                found.pieces[defined] = piece
                found.uses[defined] = _used(statement)
    return found


def _imported(statement: ast.Import | ast.ImportFrom) -> dict[str, str]:
    """Each name that an import binds, with a statement that imports it alone."""
    origin = f"from {statement.module} " if isinstance(statement, ast.ImportFrom) else ""
    return {
        alias.asname or alias.name.partition(".")[0]: origin + ast.unparse(ast.Import([alias]))
        for alias in statement.names
    }


def _defined(statement: ast.stmt) -> list[str]:
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return [statement.name]
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _used(statement: ast.stmt) -> list[str]:
    """The names in a statement, in order; too many, since local ones are among them."""
    return list(dict.fromkeys(node.id for node in ast.walk(statement) if isinstance(node, ast.Name)))
