"""Files by whatever name the system has for them, for pyarrow."""

import os
from pathlib import Path

import pyarrow


def arrow_path(file: Path) -> bytes:
    """A path as its bytes: of text, pyarrow makes UTF-8 by itself, which the names of files need not be."""
    return os.fsencode(file)


def arrow_file(file: Path) -> pyarrow.NativeFile:
    """The file, opened to be read; to be used in a ``with`` statement.

    Raises:
        OSError: it cannot be opened.
    """
    return pyarrow.OSFile(arrow_path(file))
