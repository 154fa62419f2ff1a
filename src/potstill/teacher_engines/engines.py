"""The engines, and what a teacher's forward pass is for them: one graph from images to all tensors that are tapped.

Hooks run while the graph is traced, so that no engine has to know of them.
"""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from importlib.metadata import version
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from potstill.compiler import uncompiled
from potstill.errors import BadInput, first_line
from potstill.export.graph import EXAMPLES, graph_of, quiet, why_none
from potstill.export.onnx_file import NoForm, as_onnx, need_onnx, running
from potstill.guard import is_out_of_memory
from potstill.taps import Taps

Run = Callable[[Tensor], Sequence[Tensor]]
"""From images to the tensors of a pass, in the order of its addresses."""


class NotServed(ValueError):
    """Why torch itself answers a pass, in words: it is in the nature of the teacher, or of what is asked of it."""


class Engine(NamedTuple):
    """An engine.

    Args:
        name: as ``--teacher-engine`` has it.
        package: whose version its bits depend on.
        fixed: whether it takes a preparation of its own for each size of a batch.
        ready: raises BadInput where it cannot be used, given the device and the precision.
        make: prepares a graph for it.
    """

    name: str
    package: str
    fixed: bool
    ready: Callable[[torch.device, str], None]
    make: Callable[[ExportedProgram, Sequence[str]], Run]

    @property
    def title(self) -> str:
        """Its name and version."""
        return f"{self.name} {version(self.package)}"


class Tapped(nn.Module):
    """A network that returns what is tapped of it, in the order of the addresses."""

    def __init__(self, taps: Taps) -> None:
        super().__init__()
        self.network, self.taps = taps.network, taps

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Map images (N, C, H, W) to the tensors."""
        return tuple(self.taps(images).values())


def traced(taps: Taps, images: Tensor) -> ExportedProgram:
    """The graph of what is tapped, for any number of images that lie in memory like these.

    Raises:
        NotServed: there is none.
    """
    try:
        with uncompiled(), torch.no_grad(), torch.autocast(images.device.type, enabled=False):
            return graph_of(Tapped(taps).eval(), images[:EXAMPLES])
    except Exception as error:  # of many types, none of them public
        if is_out_of_memory(error):
            raise
        raise NotServed(f"it has no graph that holds for all images: {why_none(error)}") from error


def _compile_is_ready(device: torch.device, precision: str) -> None:
    """The compiler says so itself, when it is first called."""


def _compiled(program: ExportedProgram, names: Sequence[str]) -> Run:
    run = torch.compile(program.module(), dynamic=False, fullgraph=True)
    ready: set[int] = set()

    def compiled(images: Tensor) -> Sequence[Tensor]:
        try:
            with nullcontext() if len(images) in ready else quiet():
                found: Sequence[Tensor] = run(images)
        except Exception as error:  # of many types: no C++ compiler, or what it does not know
            if is_out_of_memory(error):
                raise
            raise BadInput(f"--teacher-engine compile does not work here: {first_line(error)}; torch does") from error
        ready.add(len(images))
        return found

    return compiled


def _onnxruntime_is_ready(device: torch.device, precision: str) -> None:
    if device.type != "cpu":
        raise BadInput(f"--teacher-engine onnxruntime computes on the CPU, this run is on {device}: take compile")
    if precision != "fp32":
        raise BadInput(f"--teacher-engine onnxruntime computes in float32, this run is in {precision}: take compile")
    need_onnx("--teacher-engine torch")


def _by_onnxruntime(program: ExportedProgram, names: Sequence[str]) -> Run:
    try:
        written = as_onnx(program, names)
    except NoForm as error:
        raise NotServed(str(error)) from error
    try:
        return running(written.model_proto.SerializeToString())
    except Exception as error:  # of onnxruntime's own types, for an operation that it does not have
        if is_out_of_memory(error):
            raise
        raise NotServed(f"onnxruntime does not run it: {first_line(error)}") from error


ENGINES = {
    "compile": Engine("compile", "torch", True, _compile_is_ready, _compiled),
    "onnxruntime": Engine("onnxruntime", "onnxruntime", False, _onnxruntime_is_ready, _by_onnxruntime),
}
"""Besides torch itself."""
