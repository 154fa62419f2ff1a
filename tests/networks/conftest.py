"""The recorded forward passes of the original implementations, and a way to look at what a tap's address names."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from safetensors.torch import load_file
from torch import Tensor, nn


@dataclass
class Recording:
    """One forward pass in eval mode: weights, images, outputs, and how far float32 is from float64 in each."""

    state: dict[str, Tensor]
    images: Tensor
    out: dict[str, Tensor]
    float32_error: dict[str, float]
    atol: float
    rtol: float


@pytest.fixture(scope="session")
def recording(oracle: Path) -> Callable[[str], Recording]:
    """Reads the recorded forward pass of a network from the oracle folder."""
    cases = {case["method"]: case for case in json.loads((oracle / "index.json").read_text())["cases"]}

    def read(method: str) -> Recording:
        tensors = load_file(oracle / f"{method}.safetensors")
        keys = {name: reference["key"] for name, reference in cases[method]["tensors"].items()}
        tolerance = cases[method]["tolerance"]
        assert tolerance["logits_atol"] == tolerance["activation_atol"]
        return Recording(
            state={n.removeprefix("state/"): tensors[k] for n, k in keys.items() if n.startswith("state/")},
            images=tensors[keys["in/images"]],
            out={n.removeprefix("out/"): tensors[k] for n, k in keys.items() if n.startswith("out/")},
            float32_error=cases[method]["values"]["max_abs_difference_float32_float64"],
            atol=tolerance["logits_atol"],
            rtol=tolerance["rtol"],
        )

    return read


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
