"""Write docs/python.md: the Python surface, from docstrings and signatures, each name with an example that runs.

    python tools/write_python_docs.py [docs/python.md]

Run it after every change of such a docstring or signature; a test compares.
"""

import inspect
import re
import sys
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any

import potstill as ps

sys.path.insert(0, str(Path(__file__).parent))
from docstrings import code, section

FILE = Path(__file__).resolve().parents[1] / "docs" / "python.md"
GROUPS: dict[str, dict[str, Any]] = {
    "Distilling": {name: getattr(ps, name) for name in ("Distiller", "Term", "terms", "freeze")},
    "Runs": {name: getattr(ps, name) for name in ("fit", "evaluate", "Training", "Teacher")},
    "Data": {f"data.{name}": getattr(ps.data, name) for name in ("load", "from_loaders")},
    "Networks": {f"networks.{name}": getattr(ps.networks, name) for name in ps.networks.__all__},
    "Schedules": {
        f"schedules.{name}": value
        for name, value in vars(ps.schedules).items()
        if inspect.isfunction(value) and not name.startswith("_")
    },
}
HEAD = """\
# The Python surface

`import potstill as ps`. Everything is loaded when it is first used. [Losses](losses/README.md) have pages of their own,
[addresses](seams.md#addresses) and [the seams of `fit`](seams.md) too. Examples here are run by the test suite.

Written by `tools/write_python_docs.py` from the docstrings; change them there.
"""


def main() -> None:
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else FILE
    file.write_text(page(), encoding="utf-8")


def page() -> str:
    """The Markdown of the page."""
    contents = []
    for group, names in GROUPS.items():
        contents.append(f"- {group}: " + ", ".join(f"[{name}](#{anchor(name)})" for name in names))
    parts = [HEAD, "\n".join(contents)]
    for group, names in GROUPS.items():
        parts += [f"## {group}", *(entry(name, value) for name, value in names.items())]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def entry(name: str, value: Any) -> str:
    """One name: its signature, and its docstring."""
    texts = _examples_together((inspect.getdoc(value) or "").split("\n\n"))
    body = [re.sub(r"^## ", "#### ", section(text)) for text in texts]
    body = [text if "```" in text else code(text) for text in body]
    call = name if is_dataclass(value) else f"{name}{signature(value)}"
    parts = [f"### {name}", f"```python\nps.{call}\n```", *body]
    return "\n\n".join([*parts, *([_fields(value)] if is_dataclass(value) else [])])


def signature(value: Any) -> str:
    """Arguments and defaults, without types: those are in the text, or in an editor."""
    parameters = inspect.signature(value).parameters.values()
    plain = str(inspect.Signature([parameter.replace(annotation=parameter.empty) for parameter in parameters]))
    return re.sub(r"<function (\w+) at 0x[0-9a-f]+>", r"\1", plain).replace("'", '"')  # as the formatter has it


def anchor(name: str) -> str:
    return re.sub(r"[^\w-]", "", name.lower())


def _fields(value: Any) -> str:
    """The fields of a dataclass, with the texts below them, which are also the help of the command line."""
    texts: dict[str, str] = {}
    for owner in reversed([kind for kind in value.__mro__ if is_dataclass(kind)]):
        pattern = r'^    (\w+): [^\n]*\n    """(.*?)"""'
        found = re.findall(pattern, inspect.getsource(owner), re.DOTALL | re.MULTILINE)
        texts |= {name: " ".join(text.split()) for name, text in found}
    rows = [f"- `{field.name}`{_default(field)}: {texts[field.name]}" for field in fields(value) if field.name in texts]
    return "#### Fields\n\n" + "\n".join(rows) if rows else ""


def _default(field: Any) -> str:
    return "" if field.default is MISSING else f" = `{field.default!r}`"


def _examples_together(texts: list[str]) -> list[str]:
    """Examples that an empty line parts are one."""
    joined: list[str] = []
    for text in texts:
        if joined and text.startswith(">>> ") and joined[-1].startswith(">>> "):
            joined[-1] += "\n\n" + text
        else:
            joined.append(text)
    return joined


if __name__ == "__main__":
    main()
