"""The documentation as a site: the Markdown that GitHub shows, from README.md on, as it stands.

    python -m sphinx -W --keep-going -c website . build/site

Sphinx, because it is maintained, checks every link and anchor, searches without a server, and myst-nb runs the
notebooks while it builds. Material for MkDocs ended in November 2026, and Zensical, which follows it, is 0.0.x. Nothing
is fetched at the build or by a reader: no fonts, no scripts of others.
"""

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
os.environ["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))  # notebooks call potstill

import potstill  # noqa: E402

project = "potstill"
author = "the Potstill authors"
release = potstill.__version__
extensions = ["myst_nb", "navigation", "files"]

root_doc = "README"
include_patterns = ["*.md", "docs/**"]
exclude_patterns = [
    ".*",
    "build",
    "dist",
    "runs",
    "shared",
    "website",
    "src",
    "tests",
    "tools",
    "examples",
    "benchmarks",
]
myst_heading_anchors = 4  # addresses as GitHub makes them
myst_enable_extensions = ["linkify"]  # a bare address is a link, as on GitHub,
myst_linkify_fuzzy_links = False  # and mynet.py is none
smartquotes = False  # nor are two hyphens a dash

nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_execution_timeout = 300  # of a cell, on a busy machine
nb_merge_streams = True

html_theme = "furo"
html_title = f"potstill {release}"
html_static_path = ["look"]
html_css_files = ["site.css"]
html_extra_path = ["front"]  # index.html, which leads to the root document
html_show_sphinx = False
html_copy_source = False
pygments_style = "friendly"
pygments_dark_style = "native"
