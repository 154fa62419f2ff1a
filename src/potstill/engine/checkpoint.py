"""Files that are whole or absent: weights, and the checkpoint a run continues from."""

import hashlib
import io
import random
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from torch import nn

from potstill.errors import BadInput
from potstill.taps import unwrapped
from potstill.whole_file import write_whole


def save_weights(network: nn.Module, path: Path) -> None:
    """A network's weights and buffers as plain safetensors, which load into the bare network."""
    write_whole(path, weights_of(network))


def weights_of(network: nn.Module) -> bytes:
    """The content of such a file."""
    return save({name: value.detach().clone().contiguous() for name, value in unwrapped(network).state_dict().items()})


def fingerprint(network: nn.Module) -> str:
    """A digest of all weights and buffers: two networks with the same one are bit-identical."""
    digest = hashlib.sha256()
    for name, value in unwrapped(network).state_dict().items():
        digest.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint: a line with its SHA-256, then the state as a torch file."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    content = buffer.getvalue()
    write_whole(path, hashlib.sha256(content).hexdigest().encode() + b"\n" + content)


def load_checkpoint(path: Path, device: torch.device) -> dict[str, Any]:
    """Read a checkpoint back.

    Raises:
        BadInput: the file is damaged.
    """
    digest, _, content = path.read_bytes().partition(b"\n")
    if hashlib.sha256(content).hexdigest().encode() != digest:
        raise BadInput(f"{path} is damaged (its checksum does not fit); delete the folder to start again")
    state: dict[str, Any] = torch.load(io.BytesIO(content), map_location=device, weights_only=True)
    return state


def random_states() -> dict[str, Any]:
    """The states of all random number generators, as plain values and tensors."""
    algorithm, keys, *rest = np.random.get_state(legacy=True)
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "python": random.getstate(),
        "numpy": [algorithm, torch.from_numpy(np.asarray(keys, dtype=np.int64)), *rest],
    }


def restore_random_states(states: dict[str, Any]) -> None:
    """Put back what `random_states` gave."""
    torch.set_rng_state(states["torch"].cpu())
    if torch.cuda.is_available():
        torch.cuda.set_rng_state_all([state.cpu() for state in states["cuda"]])
    version, internal, gauss = states["python"]
    random.setstate((version, tuple(internal), gauss))
    algorithm, keys, *rest = states["numpy"]
    np.random.set_state((algorithm, keys.cpu().numpy().astype(np.uint32), *rest))
