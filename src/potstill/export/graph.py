"""A network as a graph of torch's own operations: ``torch.export``, and its .pt2 file."""

import json
import logging
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from potstill.errors import BadInput
from potstill.export.check import Function
from potstill.networks.cost import off_the_fast_path
from potstill.outputs import logits_of

ABOUT = "about.json"
"""Where a .pt2 file holds what it says of itself."""
EXAMPLES = 3  # torch.export takes a batch of 1 for a network that knows no other


def trace(network: nn.Module, images: Tensor, one: bool = False) -> ExportedProgram:
    """The graph of ``network`` for any number of images like ``images`` (N, C, H, W), or for ``one`` and no more.

    Raises:
        BadInput: its forward depends on the values of its input, or does what has no graph.
    """
    with quiet(), off_the_fast_path():  # other runtimes do not have its kernel
        try:
            example = images[: 1 if one else EXAMPLES].clone(memory_format=torch.contiguous_format)
            return graph_of(_plain(network, example), example, one)
        except Exception as error:  # of many types, none of them public
            kind = type(network).__name__
            raise BadInput(
                f"{kind} has no graph that holds for all images: {why_none(error)}; --to safetensors needs none"
            ) from error


def graph_of(network: nn.Module, example: Tensor, fixed: bool = False) -> ExportedProgram:
    """The graph of a network for any number of images like ``example``; torch's own error, if there is none.

    ``fixed``: for as many images as ``example`` has.
    """
    sizes = None if fixed else ({0: Dim("batch")},)
    with quiet(), off_the_fast_path():
        program = torch.export.export(network, (example,), dynamic_shapes=sizes)
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # it names files of this machine
    return program


class Logits(nn.Module):
    """A network that returns a tuple or a dictionary, as one that returns its logits alone."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, C, H, W) to logits (N, K)."""
        return logits_of(self.network(images))


def _plain(network: nn.Module, images: Tensor) -> nn.Module:
    """The network, or what returns its logits alone, in the mode that it is in."""
    with torch.no_grad():
        output = network(images.clone())
    return network if isinstance(output, Tensor) else Logits(network).train(network.training)


def save_program(program: ExportedProgram, path: Path, about: Mapping[str, str]) -> None:
    """Write a .pt2 file, with ``about`` in its extra file ``about.json``."""
    with quiet():
        torch.export.save(program, path, extra_files={ABOUT: json.dumps(dict(about))})


def load_program(path: Path) -> Function:
    """The function in a .pt2 file: images (N, C, H, W) to logits (N, K)."""
    with quiet():
        module = torch.export.load(path).module()

    def run(images: Tensor) -> Tensor:
        with torch.no_grad():
            logits: Tensor = module(images)
        return logits

    return run


@contextmanager
def quiet() -> Iterator[None]:
    """Without what torch's exporters print, log and warn of for their developers; errors are raised as ever."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def why_none(error: Exception) -> str:
    """Why a network has no graph: the first line of what torch says, and where in the network's code that is."""
    text = str(error)
    reason = next((line.strip() for line in text.splitlines() if line.strip()), type(error).__name__)
    if "(batch)" in reason:
        reason = "its forward fixes the number of images"
    place = re.search(r'raised this error:\s+File "(.*)", line (\d+)', text)
    where = f" ({place[1]}, line {place[2]})" if place else ""
    return f"{reason.rstrip('.')}{where}"
