"""A learned projector from a student's features to its teacher's, at every position of a map or token."""

import torch.nn.functional as F
from torch import Tensor, nn

from potstill.errors import BadInput

SPREAD = 0.02  # of the weights at the start


def projector(student: Tensor, teacher: Tensor, layers: int, hidden: int | None = None) -> nn.Module:
    """Map a student's features to as many as a teacher's: linear, or linear, layer norm, GELU, ..., linear.

    Weights start as a normal distribution of deviation 0.02, cut off at 2, and biases at 0, as LightlyTrain has it.

    Args:
        student: features (N, D), tokens (N, L, D) or a map (N, D, h, w).
        teacher: likewise, of width D'.
        layers: how many linear layers.
        hidden: width between them; by default D'.
    """
    width, out = channels(student), channels(teacher)
    inner = out if hidden is None else hidden
    if layers == 1:
        return _linear(width, out).to(student)
    modules: list[nn.Module] = []
    for i in range(layers - 1):
        modules += [_linear(width if i == 0 else inner, inner), nn.LayerNorm(inner), nn.GELU()]
    return nn.Sequential(*modules, _linear(inner, out)).to(student)


def channels(features: Tensor) -> int:
    """The width of features, tokens or a map."""
    return features.shape[1 if features.dim() == 4 else -1]


def side_by_side(student: Tensor, teacher: Tensor, head: nn.Module, loss: str) -> tuple[Tensor, Tensor]:
    """Both as vectors of one width at the same places: (N, D) of features, (N, L, D) of tokens or maps.

    The student's go through ``head`` at every place. Of maps, they are then resized bilinearly to the teacher's size.

    Raises:
        BadInput: one is a map and the other is not, or they differ in number of tokens or in width; the message names
            the ``loss``.
    """
    if student.dim() == teacher.dim() == 4:
        projected = head(student.movedim(1, 3)).movedim(3, 1)
        if projected.shape[2:] != teacher.shape[2:]:
            projected = F.interpolate(projected, teacher.shape[2:], mode="bilinear", align_corners=False)
        projected, teacher = (maps.flatten(2).transpose(1, 2) for maps in (projected, teacher))
    else:
        projected = head(student) if student.dim() == teacher.dim() else student
    if projected.shape != teacher.shape:
        shapes = f"{tuple(projected.shape)} of the student and {tuple(teacher.shape)} of the teacher"
        raise BadInput(f"{loss}: {shapes} do not go together")
    return projected, teacher


def _linear(width: int, out: int) -> nn.Linear:
    linear = nn.Linear(width, out)
    nn.init.trunc_normal_(linear.weight, std=SPREAD)
    nn.init.zeros_(linear.bias)
    return linear
