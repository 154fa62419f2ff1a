"""Optimisers of timm, by its names for them."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch.optim import Optimizer

from potstill.errors import BadInput, unknown
from potstill.guard import foreign
from potstill.hub import library


def check_name(name: str) -> None:
    """Refuse what timm has no optimiser of.

    Raises:
        BadInput: there is none of that name, or timm is not installed.
    """
    names: list[str] = _optim().list_optimizers()
    if name not in names:
        raise unknown("optimizer of timm", name, names)


def make(name: str, groups: Sequence[Mapping[str, Any]], rate: float, decay: float, momentum: float) -> Optimizer:
    """The optimiser over groups of parameters that say their own weight decay, where it is another.

    https://huggingface.co/docs/timm/reference/optimizers
    """
    with foreign(f"--optimizer timm:{name}"):
        made: Optimizer = _optim().create_optimizer_v2(
            [dict(group) for group in groups],
            opt=name,
            lr=rate,
            weight_decay=decay,
            momentum=momentum,
            filter_bias_and_bn=False,  # the groups have it already
        )
    if not hasattr(made, "param_groups"):  # of lookahead, say, which wraps another
        raise BadInput(f"--optimizer timm:{name} has no groups of parameters whose learning rate could be set")
    return made


def _optim() -> Any:
    library("timm", "models")
    from timm import optim

    return optim
