"""Put the examples into docs/seams.md, each below the link to its file.

    python tools/write_seams_docs.py

Run it after every change of an example; a test compares.
"""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FILE = ROOT / "docs" / "seams.md"
SHOWN = re.compile(r"(\[(examples/\w+\.py)\]\(\.\./\2\)\n)(\n```python\n.*?\n```\n)?", re.DOTALL)


def main() -> None:
    FILE.write_text(page(), encoding="utf-8")


def page() -> str:
    """The page with the examples as they are."""
    return SHOWN.sub(
        lambda found: f"{found[1]}\n```python\n{(ROOT / found[2]).read_text(encoding='utf-8').strip()}\n```\n",
        FILE.read_text(encoding="utf-8"),
    )


if __name__ == "__main__":
    main()
