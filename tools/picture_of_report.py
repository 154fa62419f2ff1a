"""Take the picture of a report that the README shows, with chromium, small enough for a repository.

potstill demo && python tools/picture_of_report.py runs/demo/report.html docs/images/report.png
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

WIDTH, HEIGHT = 1200, 930
MOST = 150_000
"""Bytes."""


def main() -> None:
    report, target = map(Path, sys.argv[1:])
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        sys.exit("no chromium on this machine")
    with tempfile.TemporaryDirectory() as folder:
        taken = Path(folder) / "report.png"
        subprocess.run(
            [
                *(browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
                *(f"--window-size={WIDTH},{HEIGHT}", f"--screenshot={taken}", report.resolve().as_uri()),
            ],
            check=True,
            capture_output=True,
        )
        picture = Image.open(taken).convert("RGB").quantize(128)
    target.parent.mkdir(parents=True, exist_ok=True)
    picture.save(target, optimize=True)
    if target.stat().st_size > MOST:
        sys.exit(f"{target} has {target.stat().st_size:,} bytes, more than {MOST:,}")


if __name__ == "__main__":
    main()
