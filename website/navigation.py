"""The site's navigation is what the pages named README.md link: nothing is listed a second time.

docs/README.md is the index: its sections and their links are the groups of the sidebar. The README of a folder below it
leads to the pages of that folder which it links. A page that none of them links is a warning of Sphinx, and so an
error.
"""

import posixpath
import re
from pathlib import Path

from sphinx.application import Sphinx

INDEX = "docs/README"
LINK = re.compile(r"\[([^\]]+)\]\(([^)#\s]+)\.(?:md|ipynb)\)")
TREE = "\n\n```{{toctree}}\n:hidden:\n{caption}\n{entries}\n```\n"


def setup(app: Sphinx) -> dict[str, bool]:
    """Sphinx's way of loading this file."""
    app.connect("source-read", add_tree)
    return {"parallel_read_safe": True}


def add_tree(app: Sphinx, docname: str, source: list[str]) -> None:
    """Append to a README the pages that it leads to."""
    if docname == app.config.root_doc:
        source[0] += groups((Path(app.srcdir) / f"{INDEX}.md").read_text(encoding="utf-8"))
    elif docname.endswith("/README") and docname != INDEX:
        source[0] += tree(inside(source[0]))


def groups(index: str) -> str:
    """The sidebar: the index itself, then a tree a section."""
    _, *sections = index.split("\n## ")
    trees = [tree([("All pages", f"/{INDEX}")])]
    for section in sections:
        caption, _, text = section.partition("\n")
        links = [(title, posixpath.normpath(f"/docs/{target}")) for title, target in LINK.findall(text)]
        trees.append(tree(links, caption))
    return "".join(trees)


def inside(text: str) -> list[tuple[str, str]]:
    """The links of a folder's README that stay in the folder."""
    return [(title, target) for title, target in LINK.findall(text) if not target.startswith(("..", "http"))]


def tree(links: list[tuple[str, str]], caption: str = "") -> str:
    """A hidden toctree of links, each once."""
    entries = "\n".join(f"{title.replace('`', '')} <{target}>" for title, target in dict.fromkeys(links))
    return TREE.format(caption=f":caption: {caption}\n" if caption else "", entries=entries) if links else ""
