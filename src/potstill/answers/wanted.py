"""What ``--teacher-cache`` asks for."""

from dataclasses import dataclass
from pathlib import Path

from potstill.data.cache import cache_folder

OFF, AUTO = "off", "auto"
IN = f"{AUTO}:"
PACKED = ".safetensors"


@dataclass(frozen=True)
class Wanted:
    """Where answers are kept, and whether that is only done where it pays and works, or in any case.

    >>> Wanted.parse("off") is None, Wanted.parse("auto").insists, Wanted.parse("runs/answers").insists
    (True, False, True)
    >>> Wanted.parse("auto:runs/answers")
    Wanted(folder=PosixPath('runs/answers'), insists=False, shared=True, packed=None)
    """

    folder: Path
    insists: bool
    shared: bool
    """Whether others are known to use it too, as the runs of a table do."""
    packed: Path | None = None
    """Answers in one file, to begin with."""

    @classmethod
    def parse(cls, text: str) -> "Wanted | None":
        """What the flag says; None for ``off``."""
        if text == OFF:
            return None
        if text == AUTO:
            return cls(cache_folder() / "answers", insists=False, shared=False)
        if text.startswith(IN):
            return cls(Path(text.removeprefix(IN)).expanduser(), insists=False, shared=True)
        path = Path(text).expanduser()
        if path.suffix == PACKED:
            return cls(cache_folder() / "answers", insists=True, shared=True, packed=path)
        return cls(path, insists=True, shared=True)
