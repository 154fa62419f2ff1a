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
EXECUTORCH = """\
import json, torch
from executorch.runtime import Runtime
program = Runtime.get().load_program({file!r})
about = json.loads(program.load_method("about").execute([])[0])
mean, std = (torch.tensor(json.loads(about[name])).view(-1, 1, 1) for name in ("mean", "std"))
(logits,) = program.load_method("forward").execute([(image - mean) / std])  # image: {image}\
"""
SAFETENSORS = """\
# in {folder}, or with that folder in sys.path
from {loader} import classes, mean, network, std
logits = network((images - mean) / std)  # images: {images}\
"""
CODE = {"onnx": ONNX, "torch": TORCH, "executorch": EXECUTORCH, "safetensors": SAFETENSORS}


def usage(file: Path, to: str, data: RunImages) -> list[str]:
    """The lines of Python that load the exported ``file`` and use it."""
    images, image = (f"({n}, {', '.join(map(str, data.shape))}) of values in 0..1" for n in ("N", "1"))
    loader = loader_of(file).stem
    folder = printable(str(file.parent))
    named = {"file": str(file), "folder": folder, "loader": loader, "images": images, "image": image}
    return CODE[to].format(**named).splitlines()
