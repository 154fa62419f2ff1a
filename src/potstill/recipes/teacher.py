"""Where a teacher comes from, and the student beside it."""

from pathlib import Path
from typing import TYPE_CHECKING

import potstill as ps
from potstill.errors import BadInput

if TYPE_CHECKING:
    from torch import nn

    from potstill.data import Data


def create_teacher(
    spec: str, classes: int, weights: Path | None, kind: str = "teacher", flag: str = "--teacher-weights"
) -> "nn.Module":
    """A frozen network with trained weights: those of the file, of the run folder, or of the user's own function.

    Raises:
        BadInput: its weights would be random; the message calls it ``kind`` and names the ``flag`` for weights.
    """
    origin = spec.partition(":")[0]
    own = ":" in spec and origin not in ("timm", "torchvision")
    network = ps.networks.create(spec, classes, weights=weights)
    if weights is None and not own and not Path(spec).is_dir():
        raise BadInput(f"{kind} {spec!r} has no trained weights; give {flag} FILE, or a run folder")
    return ps.freeze(network)


def create_pair(
    student: str,
    teacher: str,
    data: "Data",
    *,
    seed: int,
    teacher_weights: Path | None = None,
    student_weights: Path | None = None,
) -> "dict[str, nn.Module]":
    """The networks of a distilling recipe: ``student``, fresh by ``seed`` or from a file, and ``teacher``, frozen."""
    classes = len(data.classes)
    return {
        "student": ps.networks.create(student, classes, weights=student_weights, seed=seed),
        "teacher": create_teacher(teacher, classes, teacher_weights),
    }
