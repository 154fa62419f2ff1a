"""ExecuTorch's files (.pte), written from a graph of one image and run by ExecuTorch's own runtime."""

import json
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor
from torch.export import ExportedProgram

from potstill.errors import BadInput, first_line
from potstill.export.check import Function
from potstill.export.graph import quiet

ABOUT = "about"
"""The method of a file that returns what it says of itself."""


def need_executorch() -> None:
    """Raise BadInput, before anything is built, if ExecuTorch is missing."""
    if find_spec("executorch") is None:
        raise BadInput("executorch is not installed; it needs: pip install potstill[executorch], or use --to onnx")


def save_executorch(program: ExportedProgram, path: Path, about: Mapping[str, str]) -> None:
    """Write a file whose method ``forward`` maps one image (1, C, H, W) to logits (1, K), by XNNPACK where it can.

    Source: https://docs.pytorch.org/executorch/stable/using-executorch-export.html

    Raises:
        BadInput: an operation has no form there.
    """
    with quiet():
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
        from executorch.exir import to_edge_transform_and_lower

        methods = {ABOUT: json.dumps(dict(about))}
        try:
            lowered = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()], constant_methods=methods)
            content = lowered.to_executorch().buffer
        except Exception as error:  # of many kinds, none of them public
            reason = first_line(error)
            raise BadInput(f"this network has no ExecuTorch form: {reason}; --to torch needs none") from error
    path.write_bytes(content)


def load_executorch(path: Path) -> Function:
    """The function in a .pte file, which takes its images one after the other."""
    with quiet():
        from executorch.runtime import Runtime

        program = Runtime.get().load_program(path)
        forward = program.load_method("forward")

    def run(images: Tensor) -> Tensor:
        # The next call writes its logits where these are.
        found = [forward.execute([images[i : i + 1].contiguous()])[0].clone() for i in range(len(images))]
        return torch.cat(found)

    return run
