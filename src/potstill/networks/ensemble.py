"""Several networks as one."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from potstill.outputs import logits_of


class MeanOfLogits(nn.Module):
    """Networks that answer together: the mean of their logits (N, K). Maps images as each of them does.

    A tap inside the first is ``networks.0.PATH``; its aliases are ``networks.0.stage1`` and so on.

    >>> import torch
    >>> import potstill as ps
    >>> first, second = (ps.networks.create("resnet8", seed=seed).eval() for seed in (0, 1))
    >>> teacher, images = ps.networks.MeanOfLogits([first, second]), torch.randn(2, 3, 32, 32)
    >>> torch.allclose(teacher(images), (first(images) + second(images)) / 2)
    True
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.classes = getattr(networks[0], "classes", None)
        self.aliases = {
            f"networks.{i}.{alias}": f"networks.{i}.{path}"
            for i, network in enumerate(networks)
            for alias, path in getattr(network, "aliases", {}).items()
        }

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, C, H, W) to the mean logits (N, K)."""
        return torch.stack([logits_of(network(images)) for network in self.networks]).mean(dim=0)
