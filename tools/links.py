"""Where the names of a docstring lead: to a page, or to the file that they are written in."""

import posixpath
import re
import sys
from typing import Any

import potstill as ps

GROUPS: dict[str, dict[str, Any]] = {
    "Distilling": {name: getattr(ps, name) for name in ("Distiller", "Term", "terms", "freeze")},
    "Runs": {name: getattr(ps, name) for name in ("fit", "evaluate", "Training", "Teacher", "trusted")},
    "Data": {f"data.{name}": getattr(ps.data, name) for name in ("load", "from_loaders")},
    "Networks": {f"networks.{name}": getattr(ps.networks, name) for name in ps.networks.__all__},
    "Schedules": {
        f"schedules.{name}": value
        for name, value in vars(ps.schedules).items()
        if getattr(value, "__module__", "") == ps.schedules.__name__ and not name.startswith("_")
    },
}
"""What docs/python.md has, below which headings."""
PUBLIC = {name: value for names in GROUPS.values() for name, value in names.items()}
PARTS = {"address": "seams.md#addresses", "schedules": "python.md#schedules", "networks": "python.md#networks"}
"""Pages about whole modules."""


def linked(text: str, module: str, page: str) -> str:
    """A paragraph with its ``code`` in Markdown's way, and its `names` as links; examples and equations as they are.

    Args:
        text: the paragraph.
        module: whose docstring it is from.
        page: where it is shown, relative to docs.
    """
    if text.startswith((">>> ", "    ")):
        return text
    return re.sub(r"(`+)([^`]+)\1", lambda found: _code(found[2], len(found[1]) == 1, module, page), text)


def anchor(name: str) -> str:
    """GitHub's address of a heading."""
    return re.sub(r"[^\w -]", "", name.lower()).replace(" ", "-")


def _code(name: str, is_name: bool, module: str, page: str) -> str:
    target = _target(name.removeprefix("potstill."), module) if is_name else None
    if target is None:
        return f"`{name}`"
    path, _, heading = target.partition("#")
    relative = "" if path == page else posixpath.relpath(path, posixpath.dirname(page) or ".")
    return f"[`{name}`]({relative}{'#' if heading else ''}{heading})"


def _target(name: str, module: str) -> str | None:
    """What a name means in a module, as a path relative to docs; None if that has no place, as a method has none."""
    if name in PARTS:
        return PARTS[name]
    if name in ps.losses.__all__:
        return f"losses/{name}.md"
    home, _, last = name.rpartition(".")
    home = f"potstill.{home}" if home else module
    value = PUBLIC.get(name) or vars(sys.modules[home]).get(last) if home in sys.modules else None
    for public, known in PUBLIC.items():
        if value is known:
            return f"python.md#{anchor(public)}"
    if value is None:
        return None
    written = getattr(value, "__module__", home)  # a constant is in the module that speaks of it
    return f"../src/{written.replace('.', '/')}.py" if written.startswith("potstill.") else None
