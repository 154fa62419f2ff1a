"""Docstrings as Markdown, for the pages that tools write."""

import inspect
import textwrap

TITLES = {"Args:": "Arguments", "Raises:": "Errors", "Returns:": "Returns"}


def section(text: str) -> str:
    """A paragraph of a docstring as Markdown: an equation, an example, a list of arguments or errors, or prose."""
    first, *rest = text.split("\n")
    if first.startswith(">>> "):
        return f"## Example\n\n```python\n{text}\n```"
    if all(line.startswith("    ") for line in (first, *rest)):
        return "```text\n" + inspect.cleandoc(text) + "\n```"
    if first in TITLES:
        body = textwrap.dedent("\n".join(rest))
        entries = body if first == "Returns:" else "\n".join(item(line) for line in body.split("\n"))
        return f"## {TITLES[first]}\n\n{entries}"
    if first.startswith("Shapes: "):
        shapes = text.removeprefix("Shapes: ")
        return f"## Shapes\n\n{shapes[0].upper()}{shapes[1:]}"
    return text


def item(line: str) -> str:
    """A line of a section: the start of an entry becomes one of a list, its continuation stays below it."""
    if line.startswith(" "):
        return "  " + line.strip()
    name, _, text = line.partition(": ")
    return f"- `{name}`: {text}"
