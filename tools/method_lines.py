"""How many methods there are of each kind, and how many lines of code a method takes.

    python tools/method_lines.py

Lines of code are those without docstrings, comments and blank lines, of each file that defines a loss. The index of
docs/losses quotes this; tools/write_loss_docs.py writes it there.
"""

import ast
import inspect
import io
import statistics
import tokenize
from pathlib import Path

import potstill as ps
from potstill.catalogue import KINDS, cards

NO_CODE = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)


def main() -> None:
    print(told())


def told() -> str:
    """Both counts in two sentences."""
    lines = method_files()
    largest = max(lines, key=lambda name: lines[name])
    found = cards()
    kinds = ", ".join(f"{kind} {sum(card.is_of(kind) for card in found)}" for kind in KINDS)
    return (
        f"{len(found)} losses, some of several kinds: {kinds}. They are {len(lines)} files, with a median of "
        f"{statistics.median(lines.values()):g} lines of code without docstrings and comments; the largest, {largest}, "
        f"has {lines[largest]}."
    )


def method_files() -> dict[str, int]:
    """The lines of code of each file that defines a loss, by its name."""
    files = {Path(inspect.getfile(getattr(ps.losses, name))) for name in ps.losses.__all__}
    return {file.name: code_lines(file.read_text(encoding="utf-8")) for file in sorted(files)}


def code_lines(source: str) -> int:
    """Lines of Python without docstrings, comments and blank ones.

    >>> code_lines('"What it is."\\n\\n# why\\nx = (1,\\n     2)  # and so on\\n')
    2
    """
    prose = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            prose.update(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    code = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in NO_CODE:
            code.update(range(token.start[0], token.end[0] + 1))
    return len(code - prose)


if __name__ == "__main__":
    main()
