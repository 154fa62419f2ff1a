"""What a folder of images is taken for."""

from dataclasses import dataclass, field

from potstill.data.files.encoded import Encoded


@dataclass(frozen=True)
class Taken:
    """The classes and the two splits of a folder; without test images ``test`` is None.

    ``notes`` are sentences about what was done with the folder; ``splits`` are the names of the two in it.
    """

    classes: tuple[str, ...]
    train: Encoded
    test: Encoded | None
    notes: list[str] = field(default_factory=list)
    splits: tuple[str, str | None] = ("", None)
