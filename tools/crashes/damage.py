"""Damage to files."""

import random
from pathlib import Path

DAMAGES = (
    "one bit flipped",
    "several bits flipped",
    "truncated",
    "emptied",
    "replaced by a folder",
    "replaced by noise",
)


def files_of(folder: Path) -> list[Path]:
    """The files of a run folder that anybody reads; not TensorBoard's, the lock, or what is hidden."""
    return [
        file
        for file in sorted(folder.rglob("*"))
        if file.is_file() and not file.name.startswith(".") and not file.name.startswith("events.out")
    ]


def damage(file: Path, how: str, draw: random.Random) -> None:
    content = bytearray(file.read_bytes())
    if how == "replaced by a folder":
        file.unlink()
        file.mkdir()
        return
    if how == "emptied" or not content:
        content = bytearray()
    elif how == "truncated":
        content = content[: draw.randrange(len(content))]
    elif how == "replaced by noise":
        content = bytearray(draw.randbytes(len(content)))
    else:
        for _ in range(1 if how == "one bit flipped" else draw.randint(2, 20)):
            content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    file.write_bytes(bytes(content))
