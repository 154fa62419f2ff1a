"""Write docs/python.md: the Python surface, from docstrings and signatures, each name with an example that runs.

    python tools/write_python_docs.py [docs/python.md]

Run it after every change of such a docstring or signature; a test compares.
"""

import inspect
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from docstrings import section
from links import GROUPS, anchor, linked

import potstill as ps

FILE = Path(__file__).resolve().parents[1] / "docs" / "python.md"
HEAD = """\
# The Python surface

`import potstill as ps`. Everything is loaded when it is first used. The test suite runs every example as it stands.

- [Distilling](#distilling)
- [Runs](#runs)
- [Data](#data): `ps.data`
- [Networks](#networks): `ps.networks`
- [Schedules](#schedules): `ps.schedules`
- [Recipes](#recipes): `ps.recipes`
- [What data are made of](#what-data-are-made-of)

On other pages: [`ps.losses`](losses/README.md), [addresses](seams.md#addresses), [the seams of `fit`](seams.md).

Written by `tools/write_python_docs.py` from the docstrings; change them there.
"""
IN_ONE_LINE = {
    "Recipes": (
        "What the [command line](commands.md) runs: functions whose arguments are its flags, which `potstill NAME "
        "--help` tells. They return what `summary.json` says.",
        {f"recipes.{name}": getattr(ps.recipes, name) for name in ps.recipes.__all__},
    ),
    "What data are made of": (
        "`ps.data.load` and `ps.data.from_loaders` give these; they are for loaders of your own and for annotations.",
        {f"data.{name}": getattr(ps.data, name) for name in ps.data.__all__ if f"data.{name}" not in GROUPS["Data"]},
    ),
}
"""Public names without an entry of their own: a text, and the names."""
WIDE = 110
"""Columns of arguments that are read at one glance."""


def main() -> None:
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else FILE
    file.write_text(page(), encoding="utf-8")


def page() -> str:
    """The Markdown of the page."""
    parts = [HEAD]
    for group, names in GROUPS.items():
        parts += [f"## {group}", contents(names), *(entry(name, value) for name, value in names.items())]
    for group, (text, names) in IN_ONE_LINE.items():
        parts += [f"## {group}", text, contents(names, written)]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def contents(names: dict[str, Any], place: Callable[[str, Any], str] = lambda name, _: f"#{anchor(name)}") -> str:
    """A group's names, each a link to its ``place``, and the first line about each."""
    rows = [f"| [`{name}`]({place(name, value)}) | {_summary(value)} |" for name, value in names.items()]
    return "\n".join(["| name | what |", "|---|---|", *rows])


def written(_: str, value: Any) -> str:
    """The file that a name is written in."""
    return f"../src/{value.__module__.replace('.', '/')}.py"


def entry(name: str, value: Any) -> str:
    """One name: its signature, and its docstring; a class's fields and methods are before the example."""
    body: list[str] = []
    for text in (inspect.getdoc(value) or "").split("\n\n"):
        body += _paragraph(text, value, is_first="#### Example" not in "".join(body))
    more = [_fields(value), _methods(value)] if inspect.isclass(value) else []
    example = next(i for i, text in enumerate(body) if text.startswith("#### Example"))
    parts = [f"### {name}", f"```python\nps.{name}{signature(value)}\n```", *body[:example], *more, *body[example:]]
    return "\n\n".join(part for part in parts if part)


def signature(value: Any) -> str:
    """Arguments and defaults, without types: those are in the text, or in an editor."""
    parameters = [p.replace(annotation=p.empty) for p in inspect.signature(value).parameters.values()]
    plain = _plain(str(inspect.Signature(parameters)))
    return plain if len(plain) <= WIDE or not is_dataclass(value) else "(...)"  # its fields are listed below


def _plain(text: str) -> str:
    """Defaults as they are written."""
    return re.sub(r"<function (\w+) at 0x[0-9a-f]+>", r"\1", text).replace("'", '"')


def _paragraph(text: str, value: Any, is_first: bool) -> list[str]:
    shown = re.sub(r"^## ", "#### ", section(_linked(text, value)))
    return [shown if is_first else shown.removeprefix("#### Example\n\n")]


def _linked(text: str, value: Any) -> str:
    return linked(text, value.__module__, "python.md")


def _summary(value: Any) -> str:
    return _linked((inspect.getdoc(value) or "").partition("\n")[0], value).replace("|", r"\|")


def _fields(value: type) -> str:
    """The fields of a dataclass, with the texts below them, which are also the help of the command line."""
    if not is_dataclass(value):
        return ""
    texts: dict[str, str] = {}
    for owner in reversed([kind for kind in value.__mro__ if is_dataclass(kind)]):
        pattern = r'^    (\w+): [^\n]*\n    """(.*?)"""'
        found = re.findall(pattern, inspect.getsource(owner), re.DOTALL | re.MULTILINE)
        texts |= {name: " ".join(text.split()) for name, text in found}
    rows = [f"- `{field.name}{_default(field)}`: {texts[field.name]}" for field in fields(value) if field.name in texts]
    return "#### Fields\n\n" + "\n".join(rows) if rows else ""


def _default(field: Any) -> str:
    return "" if field.default is MISSING else f" = {_plain(repr(field.default))}"


def _methods(value: type) -> str:
    """The methods that this package gives a class, and the first line about each."""
    rows = [f"- `{name}{_call(method)}`: {_summary(method)}" for name, method in _own(value)]
    return "#### Methods\n\n" + "\n".join(rows) if rows else ""


def _own(value: type) -> Iterator[tuple[str, Any]]:
    ours = [kind for kind in value.__mro__ if kind.__module__.startswith("potstill.")]
    for name in dict.fromkeys(name for kind in ours for name in vars(kind)):
        method = getattr(value, name)
        if inspect.isfunction(method) and not name.startswith("_"):
            yield name, method


def _call(method: Any) -> str:
    """The signature of a method, without ``self``."""
    return re.sub(r"^\(self(, )?", "(", signature(method))


if __name__ == "__main__":
    main()
