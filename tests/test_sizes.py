"""Files are read in one sitting, functions on one screen."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "potstill"
FILES = sorted(PACKAGE.rglob("*.py"))
LINES, FUNCTION = 250, 40


def test_files_are_read_in_one_sitting():
    assert len(FILES) > 200
    long = {str(file.relative_to(PACKAGE)): n for file in FILES if (n := len(file.read_text().splitlines())) > LINES}
    assert long == {}
    assert len((PACKAGE / "engine" / "fit.py").read_text().splitlines()) < 200


@pytest.mark.parametrize("folder", sorted({file.parent for file in FILES}), ids=lambda folder: folder.name)
def test_functions_fit_on_one_screen(folder):
    long = {}
    for file in folder.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef):
                text = ast.get_docstring(node, clean=False) or ""
                size = node.end_lineno - node.lineno + 1 - len(text.splitlines())
                if size > FUNCTION:
                    long[f"{file.name}: {node.name}"] = size
    assert long == {}
