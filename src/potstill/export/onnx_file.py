"""ONNX files, written from a graph and run by onnxruntime."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

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


def need_onnx() -> None:
    """Raise BadInput, before anything is built, if a package is missing that ONNX files take."""
    for name in PACKAGES:
        if find_spec(name) is None:
            raise BadInput(f"{name} is not installed; ONNX files need: pip install potstill[export], or use --to torch")


def save_onnx(program: ExportedProgram, path: Path, about: Mapping[str, str]) -> None:
    """Write one ONNX file: ``images`` (batch, C, H, W) to ``logits`` (batch, K), with ``about`` in its metadata.

    Raises:
        BadInput: the weights are too large for one file, or an operation has no ONNX form.
    """
    size = sum(tensor.nbytes for tensor in program.state_dict.values())
    if size >= LARGEST:
        raise BadInput(f"an ONNX file holds less than {LARGEST:,} bytes, and these weights have {size:,}: --to torch")
    with quiet():
        try:
            written = torch.onnx.export(
                program,
                (),
                dynamo=True,
                verbose=False,
                input_names=["images"],
                output_names=["logits"],
                dynamic_shapes=({0: "batch"},),
                opset_version=OPSET,
            )
        except torch.onnx.OnnxExporterError as error:
            reason = first_line(error.__cause__ or error)
            raise BadInput(f"this network has no ONNX form: {reason}; --to torch needs none") from error
        assert written is not None
        for part in (written.model.graph, *written.model.graph):
            part.metadata_props.clear()  # torch's notes on how it came to it, longer than the graph itself
        written.model.metadata_props.update(about)
        written.save(path, external_data=False)


def load_onnx(path: Path) -> Function:
    """The function in an ONNX file, run by onnxruntime on as many CPU threads as torch."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def run(images: Tensor) -> Tensor:
        (logits,) = session.run(["logits"], {"images": images.numpy()})
        return torch.from_numpy(logits)

    return run
