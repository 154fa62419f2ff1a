"""The recorded counts of the original networks, and a way to look at what a tap's address names."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from torch import Tensor, nn


@pytest.fixture(scope="session")
def counts(oracle: Path) -> dict[str, dict[str, dict]]:
    """Parameter counts and multiply-adds of the original networks: repository -> network -> field -> number."""
    return {family: entry["nets"] for family, entry in json.loads((oracle / "networks.json").read_text()).items()}


@pytest.fixture(scope="session")
def run_with_aliases() -> Callable[[nn.Module, Tensor], dict[str, Tensor]]:
    """Runs a network and returns the tensor behind each of its aliases, and its ``logits``."""

    def run(network: nn.Module, images: Tensor) -> dict[str, Tensor]:
        seen: dict[str, Tensor] = {}

        def watch(alias: str, address: str) -> None:
            path, _, side = address.partition(":")
            module = network.get_submodule(path)
            if side == "in":
                module.register_forward_pre_hook(lambda _, args: seen.update({alias: args[0]}))
            else:
                module.register_forward_hook(lambda _, args, output: seen.update({alias: output}))

        for alias, address in network.aliases.items():
            watch(alias, address)
        return {"logits": network(images), **seen}

    return run
