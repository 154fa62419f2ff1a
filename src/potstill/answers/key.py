"""What a teacher's answers depend on: two runs share them only where all of it is the same."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from hashlib import sha256
from typing import Any

import torch
from torch import Tensor, nn

from potstill.taps import unwrapped

LAYOUT = 1  # part of every key: raise it when what is kept, or how, changes

Key = Mapping[str, Any]
"""Plain values by what they are called in messages."""


def name_of(key: Key) -> str:
    """What files of this key are called: the beginning of the teacher's weights, and a digest of everything.

    >>> name_of({"weights": "ab" * 32, "precision": "fp32"})
    'abababababab-30f9f2043719be09de38'
    """
    text = json.dumps(key, sort_keys=True, ensure_ascii=False)
    return f"{key['weights'][:12]}-{sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:20]}"


def of_network(network: nn.Module) -> dict[str, Any]:
    """What tells a network from others: its weights, its layers, and what it does to images before it sees them."""
    from potstill.engine.checkpoint import fingerprint  # whose package takes this one

    layers = sha256(repr(unwrapped(network)).encode("utf-8", "surrogatepass")).hexdigest()
    modules = network.named_modules()
    inputs = {path: asdict(module.own_input) for path, module in modules if hasattr(module, "own_input")}
    buffers = digest_of(list(unwrapped(network).buffers()))  # also those outside of the state dict
    found = {"weights": fingerprint(network), "layers": layers, "buffers": buffers, "input": inputs}
    return json.loads(json.dumps(found))  # type: ignore[no-any-return]


def of_machine(device: torch.device) -> dict[str, Any]:
    """What computes: results of other versions, or of other instructions, differ in their last bits."""
    if device.type == "cuda":
        where = f"{torch.cuda.get_device_name(device)}, CUDA {torch.version.cuda}"
    else:
        where = f"{device.type} {torch.backends.cpu.get_cpu_capability()}"
    return {"torch": torch.__version__, "device": where}


def digest_of(values: "list[Tensor]") -> str:
    """A digest of tensors' bits."""
    digest = sha256()
    for value in values:
        digest.update(f"{tuple(value.shape)} {value.dtype}".encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def difference(there: Key, here: Key) -> str | None:
    """The first thing in which two keys differ, in words; None if they are one.

    >>> difference({"weights": "a", "precision": "fp32"}, {"weights": "a", "precision": "bf16"})
    "precision was 'fp32' there and is 'bf16' here"
    """
    for what in dict.fromkeys([*there, *here]):
        if there.get(what) != here.get(what):
            before, now = (text if len(text := repr(key.get(what))) <= 80 else f"{text[:80]}…" for key in (there, here))
            return f"{what} was {before} there and is {now} here"
    return None
