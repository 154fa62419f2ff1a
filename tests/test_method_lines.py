"""The counts of methods and lines that the index of losses quotes."""

import importlib.util
from pathlib import Path

from potstill import losses

ROOT = Path(__file__).resolve().parents[1]
SPEC = importlib.util.spec_from_file_location("method_lines", ROOT / "tools" / "method_lines.py")
TOOL = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(TOOL)

SOURCE = '''"""A module."""

import torch  # for all

# Not a line.
class One:
    """A class
    of two lines."""

    text = """a value
    of two lines"""

    def empty(self):
        """Nothing."""
'''


def test_lines_of_code_are_neither_prose_nor_blank():
    assert TOOL.code_lines(SOURCE) == 5


def test_every_loss_is_in_a_file_that_is_counted():
    lines = TOOL.method_files()
    assert {"kd.py", "norm.py", "one.py"} <= {*lines}
    assert "connector.py" not in lines
    assert len(losses.__all__) - 1 == len(lines)  # NORM and NORMLogits are one method
    assert TOOL.told() in (ROOT / "docs" / "losses" / "README.md").read_text().replace("\n", " ")
