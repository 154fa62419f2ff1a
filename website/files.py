"""Links to what is in the repository and no page: on GitHub they lead to it, and here they do too.

Python is shown as a page, a folder as the list of its Python files; reports, records and the like are copied to where
they lie in the repository. A link to what is not there stays MyST's own warning, and so an error.
"""

import html
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx


def setup(app: Sphinx) -> dict[str, bool]:
    """Sphinx's way of loading this file."""
    app.connect("doctree-read", lead, priority=400)  # before Sphinx collects what is to be downloaded
    app.connect("html-collect-pages", pages)
    app.connect("build-finished", copies)
    return {"parallel_read_safe": False}


def lead(app: Sphinx, doctree: nodes.document) -> None:
    """Make the links of a page lead to the files that it names."""
    here = app.env.docname
    known: dict[str, set[str]] = app.env.__dict__.setdefault("linked_files", {})
    known[here] = set()
    for node in [*doctree.findall(addnodes.download_reference), *doctree.findall(addnodes.pending_xref)]:
        target = (Path(app.srcdir) / here).parent / node["reftarget"]
        if node.get("reftype") != "myst" or not target.exists():
            continue
        path = target.resolve().relative_to(app.srcdir).as_posix()
        found = within(app, path)
        known[here].update(found)
        page = app.builder.get_relative_uri(here, path)
        address = page if shown(app, path) else page.removesuffix(".html")
        node.replace_self(nodes.reference("", "", *(nodes.inline("", "", *c.children) for c in node), refuri=address))


def shown(app: Sphinx, path: str) -> bool:
    """Whether a file is a page here, and no copy."""
    return path.endswith(".py") or (Path(app.srcdir) / path).is_dir()


def within(app: Sphinx, path: str) -> set[str]:
    """A file; or a folder and the Python in it."""
    root = Path(app.srcdir)
    return {path, *(file.relative_to(root).as_posix() for file in (root / path).glob("*.py"))}


def linked(app: Sphinx) -> list[str]:
    """All files that some page leads to."""
    return sorted(set().union(*app.env.__dict__.get("linked_files", {}).values()))


def pages(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """A page a Python file and a folder."""
    for path in filter(lambda path: shown(app, path), linked(app)):
        place = Path(app.srcdir) / path
        if place.is_dir():
            items = (f'<li><a href="{place.name}/{file.name}.html">{file.name}</a></li>' for file in place.glob("*.py"))
            body = f"<ul>{''.join(sorted(items))}</ul>"
        else:
            body = app.builder.highlighter.highlight_block(place.read_text(encoding="utf-8"), "python")
        title = html.escape(path)
        yield path, {"title": title, "body": f"<h1>{title}</h1>\n{body}"}, "page.html"


def copies(app: Sphinx, exception: Exception | None) -> None:
    """Put the other files where the links lead."""
    for path in () if exception else linked(app):
        if not shown(app, path):
            target = Path(app.outdir) / path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(Path(app.srcdir) / path, target)
