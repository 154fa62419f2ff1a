"""What a case gives when it is computed here."""

from dataclasses import dataclass, field

from torch import Tensor, nn

Inputs = dict[str, Tensor]


@dataclass
class Computed:
    """What a case gives here: the loss, further outputs by name, the module that holds the learned parts."""

    loss: Tensor
    outputs: dict[str, Tensor] = field(default_factory=dict)
    module: nn.Module | None = None
