"""``potstill demo``."""

from pathlib import Path
from typing import Any


def demo(*, out: Path = Path("runs/demo")) -> dict[str, Any]:
    """Distil on the embedded digits, in under two minutes, and show what help is worth."""
    raise NotImplementedError
