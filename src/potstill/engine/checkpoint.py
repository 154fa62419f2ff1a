"""Files that are whole or absent: weights, and the checkpoint a run continues from."""

import hashlib
import io
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import numpy as np
import torch
from safetensors.torch import save
from torch import nn

from potstill.errors import BadInput, first_line
from potstill.networks.bare_names import bare_state
from potstill.runs import manifest
from potstill.runs.digests import there
from potstill.runs.names import CHECKPOINT, PREVIOUS
from potstill.runs.schema import Epoch
from potstill.runs.shapes import check
from potstill.say import say
from potstill.taps import unwrapped

RANDOM = ("torch", "cuda", "python", "numpy")
"""Whose random numbers a checkpoint knows."""


class Checkpoint(TypedDict):
    """What a run continues from. States are of torch's own kinds, and tensors may lie on any device."""

    learners: dict[str, Any]
    losses: dict[str, Any]
    optimizer: dict[str, Any]
    random: dict[str, Any]
    history: list[Epoch]
    after_step: NotRequired[Any]
    inside: NotRequired[dict[str, Any]]


def save_weights(network: nn.Module, path: Path) -> None:
    """A network's weights and buffers as plain safetensors, which load into the bare network."""
    manifest.write(path.parent, {path.name: weights_of(network)})


def weights_of(network: nn.Module) -> bytes:
    """The content of such a file."""
    return save({name: value.detach().clone().contiguous() for name, value in bare_state(network).items()})


def fingerprint(network: nn.Module) -> str:
    """A digest of all weights and buffers: two networks with the same one are bit-identical."""
    digest = hashlib.sha256()
    for name, value in unwrapped(network).state_dict().items():
        digest.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def save_checkpoint(path: Path, state: Mapping[str, Any]) -> None:
    """Write a checkpoint: a line with its SHA-256, then the state as a torch file.

    It is read back before it takes the last one's place, which becomes the run's previous one.
    """
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    content = buffer.getvalue()
    whole = hashlib.sha256(content).hexdigest().encode() + b"\n" + content
    manifest.write(path.parent, {path.name: whole}, keep={CHECKPOINT: PREVIOUS})


def load_newest(folder: Path, device: torch.device) -> Checkpoint | None:
    """The checkpoint of the run in ``folder``; None if it has none yet.

    If it is damaged, the one before takes its place, which is said on stderr. To be called with the folder locked.

    Raises:
        BadInput: both are damaged.
    """
    last, previous = folder / CHECKPOINT, folder / PREVIOUS
    listed = (manifest.read(folder) or {"files": {}})["files"].get(CHECKPOINT, [None])
    try:
        if None in listed and not there(last):
            return None
        return load_checkpoint(last, device)
    except BadInput as error:
        damage = str(error)
    try:
        found = load_checkpoint(previous, device)
    except BadInput as error:
        raise BadInput(f"{damage}; nor can the one before be used: {error}; delete {folder} to start again") from error
    say(f"{damage}; going on from {previous.name}, after epoch {len(found['history'])}")
    manifest.write(folder, {CHECKPOINT: previous.read_bytes()})
    return found


def load_checkpoint(path: Path, device: torch.device) -> Checkpoint:
    """Read a checkpoint back.

    Raises:
        BadInput: the file is damaged, not the one that the run's manifest lists, or no checkpoint.
    """
    if not there(path):
        raise BadInput(f"{path} is missing")
    manifest.verify(path)
    try:
        digest, _, content = path.read_bytes().partition(b"\n")
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from error
    if hashlib.sha256(content).hexdigest().encode() != digest:
        raise BadInput(f"{path} is damaged: its checksum does not fit")
    try:
        state = torch.load(io.BytesIO(content), map_location=device, weights_only=True)
    except Exception as error:  # of somebody else's making, arbitrary bytes fail in arbitrary ways
        raise BadInput(f"{path} is no checkpoint of a run: {first_line(error)}") from error
    try:
        found = check(state, Checkpoint)
        for part in RANDOM:
            if part not in found["random"]:
                raise ValueError(f"random.{part} is missing")
    except ValueError as error:
        raise BadInput(f"{path} is no checkpoint of a run: {error}") from error
    return found


def random_states() -> dict[str, Any]:
    """The states of all random number generators, as plain values and tensors."""
    algorithm, keys, *rest = np.random.get_state(legacy=True)
    of_apple = {"mps": torch.mps.get_rng_state()} if torch.backends.mps.is_available() else {}
    return {
        **of_apple,
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
    if "mps" in states and torch.backends.mps.is_available():
        torch.mps.set_rng_state(states["mps"].cpu())
    version, internal, gauss = states["python"]
    random.setstate((version, tuple(internal), gauss))
    algorithm, keys, *rest = states["numpy"]
    np.random.set_state((algorithm, keys.cpu().numpy().astype(np.uint32), *rest))
