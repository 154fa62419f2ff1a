"""Install the wheel in a clean environment and use it, away from this checkout.

    python -m build --installer uv && python tools/try_wheel.py dist [--demo]

Only the package itself comes from the wheel. What it needs is read from the environment that this script runs in, as a
second torch would take minutes and gigabytes; an editable potstill there is not seen. ``--demo`` runs the whole
``potstill demo`` in place of an epoch.
"""

import os
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "potstill"
FEW = "--data digits --images 200 --test-images 100 --epochs 1"
SHORT = (
    f"supervised --network resnet8 {FEW} --out runs/teacher",
    f"distill --student resnet8 --teacher runs/teacher {FEW} --out runs/student",
    "report runs --out report.html",
    "table crd-benchmark --dry-run --only *resnet56-resnet20-kd",
)
"""Together they need the digits, the page of reports and the published numbers, which are files of the package."""


def main() -> None:
    wheel, *others = Path(sys.argv[1]).resolve().glob("*.whl")
    if others:
        sys.exit(f"{sys.argv[1]} has more than one wheel")
    complete(wheel)
    with tempfile.TemporaryDirectory() as place:
        potstill = install(wheel, Path(place) / "clean")
        for command in ("demo",) if "--demo" in sys.argv else SHORT:
            call([str(potstill), *command.split()], place)


def complete(wheel: Path) -> None:
    """Every file of the package is in the wheel, code or not, and what is not of it is not."""
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("potstill/")}
    here = (path for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    wanted = {f"potstill/{path.relative_to(PACKAGE).as_posix()}" for path in here}
    if inside != wanted:
        sys.exit(f"{wheel.name} lacks {sorted(wanted - inside)} and has {sorted(inside - wanted)}")


def install(wheel: Path, folder: Path) -> Path:
    """Make the environment; returns its ``potstill``, whose package lies in it."""
    uv = str(Path(sys.executable).with_name("uv"))
    python = folder / "bin" / "python"
    call([uv, "venv", "-q", "--python", sys.executable, str(folder)], folder.parent)
    call([uv, "pip", "install", "-q", "-p", str(python), "--no-deps", str(wheel)], folder.parent)
    site = Path(output([str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], folder.parent))
    # A .pth file names a folder, whose own .pth files, such as that of an editable package, are not read.
    (site / "needs.pth").write_text(sysconfig.get_path("purelib") + "\n")
    found = output([str(python), "-c", "import potstill; print(potstill.__file__)"], folder.parent)
    if not Path(found).is_relative_to(folder):
        sys.exit(f"potstill is imported from {found}, not from the wheel")
    return folder / "bin" / "potstill"


def call(command: list[str], place: str | Path) -> None:
    subprocess.run(command, cwd=place, env=clean(), check=True)


def output(command: list[str], place: Path) -> str:
    return subprocess.run(command, cwd=place, env=clean(), check=True, capture_output=True, text=True).stdout.strip()


def clean() -> dict[str, str]:
    """The environment without what leads Python elsewhere."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}


if __name__ == "__main__":
    main()
