"""How an exported file is used: the lines that are printed beside it."""

from pathlib import Path

from potstill.export.images import RunImages
from potstill.export.plain import loader_of
from potstill.text import printable

ONNX = """\
import json, numpy, onnxruntime
session = onnxruntime.InferenceSession({file!r})
about = session.get_modelmeta().custom_metadata_map
mean, std = (numpy.array(json.loads(about[name]), "float32").reshape(-1, 1, 1) for name in ("mean", "std"))
(logits,) = session.run(["logits"], {{"images": (images - mean) / std}})  # images: {images}, float32\
"""
TORCH = """\
import json, torch
extra = {{"about.json": ""}}
network = torch.export.load({file!r}, extra_files=extra).module()
about = json.loads(extra["about.json"])
mean, std = (torch.tensor(json.loads(about[name])).view(-1, 1, 1) for name in ("mean", "std"))
logits = network((images - mean) / std)  # images: {images}\
"""
SAFETENSORS = """\
# in {folder}, or with that folder in sys.path
from {loader} import classes, mean, network, std
logits = network((images - mean) / std)  # images: {images}\
"""
CODE = {"onnx": ONNX, "torch": TORCH, "safetensors": SAFETENSORS}


def usage(file: Path, to: str, data: RunImages) -> list[str]:
    """The lines of Python that load the exported ``file`` and use it."""
    images = f"(N, {', '.join(map(str, data.shape))}) of values in 0..1"
    loader = loader_of(file).stem
    folder = printable(str(file.parent))
    return CODE[to].format(file=str(file), folder=folder, loader=loader, images=images).splitlines()
