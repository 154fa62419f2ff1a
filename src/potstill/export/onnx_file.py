"""ONNX files, written from a graph and run by onnxruntime."""

from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram

from potstill.errors import BadInput, first_line
from potstill.export.check import Function
from potstill.export.graph import quiet

OPSET = 18
"""What torch's exporter writes without converting; read by onnxruntime 1.14 (2023) and newer."""
LARGEST = 2**31
"""Bytes; one file of protocol buffers holds fewer."""
PACKAGES = ("onnx", "onnxscript", "onnxruntime")


def need_onnx(otherwise: str = "--to torch") -> None:
    """Raise BadInput, before anything is built, if a package is missing that ONNX files take.

    Args:
        otherwise: what needs none.
    """
    for name in PACKAGES:
        if find_spec(name) is None:
            raise BadInput(
                f"{name} is not installed; ONNX files need: pip install potstill[export], or use {otherwise}"
            )


class NoForm(ValueError):
    """Why a graph cannot be written as ONNX, in words."""


def as_onnx(program: ExportedProgram, outputs: Sequence[str]) -> "torch.onnx.ONNXProgram":
    """A graph from ``images`` (batch, C, H, W) to tensors of these names, as ONNX has it.

    Raises:
        NoForm: the weights are too large for one file, or an operation has no ONNX form.
    """
    size = sum(tensor.nbytes for tensor in program.state_dict.values())
    if size >= LARGEST:
        raise NoForm(f"an ONNX file holds less than {LARGEST:,} bytes, and these weights have {size:,}")
    with quiet():
        try:
            written = torch.onnx.export(
                program,
                (),
                dynamo=True,
                verbose=False,
                input_names=["images"],
                output_names=list(outputs),
                dynamic_shapes=({0: "batch"},),
                opset_version=OPSET,
            )
        except torch.onnx.OnnxExporterError as error:
            raise NoForm(f"this network has no ONNX form: {first_line(error.__cause__ or error)}") from error
        assert written is not None
        for part in (written.model.graph, *written.model.graph):
            part.metadata_props.clear()  # torch's notes on how it came to it, longer than the graph itself
    return written


def save_onnx(program: ExportedProgram, path: Path, about: Mapping[str, str]) -> None:
    """Write one ONNX file: ``images`` (batch, C, H, W) to ``logits`` (batch, K), with ``about`` in its metadata.

    Raises:
        BadInput: the weights are too large for one file, or an operation has no ONNX form.
    """
    try:
        written = as_onnx(program, ["logits"])
    except NoForm as error:
        raise BadInput(f"{error}; --to torch needs none") from error
    with quiet():
        written.model.metadata_props.update(about)
        written.save(path, external_data=False)


def load_onnx(path: Path) -> Function:
    """The function in an ONNX file, run by onnxruntime on as many CPU threads as torch."""
    run = running(str(path))

    def logits_of(images: Tensor) -> Tensor:
        (logits,) = run(images)
        return logits

    return logits_of


def running(model: str | bytes) -> Callable[[Tensor], list[Tensor]]:
    """What runs a model, or the file of one, in onnxruntime on as many CPU threads as torch: images to all outputs."""
    return runner_of(session_of(model))


def session_of(model: str | bytes) -> Any:
    """A session of onnxruntime. Between two calls its threads sleep: they would keep torch from the processor."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors
    options.use_deterministic_compute = True
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def runner_of(session: Any) -> Callable[[Tensor], list[Tensor]]:
    """What runs a session: images to all outputs."""

    def run(images: Tensor) -> list[Tensor]:
        return [torch.from_numpy(found) for found in session.run(None, {"images": images.contiguous().numpy()})]

    return run
