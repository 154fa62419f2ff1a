"""What ``--teacher-cache`` asks for."""

from dataclasses import dataclass
from pathlib import Path

from potstill.data.cache import cache_folder
from potstill.errors import BadInput, shown

OFF, AUTO = "off", "auto"
IN = f"{AUTO}:"
PACKED = ".safetensors"
SLIPS = frozenset({"", "on", "yes", "no", "none", "true", "false", AUTO, OFF})
"""What nobody means as the name of a folder, in whatever case."""


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
        """What the flag says; None for ``off``.

        Raises:
            BadInput: it is no folder that anybody can mean.

        >>> Wanted.parse("on")
        Traceback (most recent call last):
        potstill.errors.BadInput: --teacher-cache is 'on': it is auto, off, a folder (./on) or a file that pack wrote
        """
        if text == OFF:
            return None
        folder = text.removeprefix(IN)
        if text != AUTO and folder.strip().lower() in SLIPS:
            example = f" (./{folder.strip()})" if folder.strip() else ""
            raise BadInput(
                f"--teacher-cache is {shown(text)}: it is auto, off, a folder{example} or a file that pack wrote"
            )
        if text == AUTO:
            return cls(cache_folder() / "answers", insists=False, shared=False)
        if text.startswith(IN):
            return cls(Path(folder).expanduser(), insists=False, shared=True)
        path = Path(text).expanduser()
        if path.suffix == PACKED:
            return cls(cache_folder() / "answers", insists=True, shared=True, packed=path)
        return cls(path, insists=True, shared=True)
