"""Pictures of anybody's, whole and damaged, asked of a run or of an ONNX file that says odd things of itself."""

import functools
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from fuzzing.domain import Domain
from fuzzing.image_folders import CLASSES, IMAGES, build
from fuzzing.odd import JSON, Damage, damage, damaged, texts
from fuzzing.small import home
from potstill.commands import predict

ABOUT = {
    **{"classes": '["a", "b", "c"]', "mean": "[0.5, 0.5, 0.5]", "std": "[0.5, 0.5, 0.5]"},
    **{"shape": "[3, 8, 8]", "shorter_side": "9", "bits": "16"},
}
OUT = ("p.csv", "p.json", "p.parquet", None)


@functools.cache
def model() -> onnx.ModelProto:
    """A network that averages colours."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["images"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weight"], ["logits"]),
    ]
    ends = [
        helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, "height", "width"]),
        helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 3]),
    ]
    weight = numpy_helper.from_array(np.eye(3, dtype=np.float32), "weight")
    graph = helper.make_graph(nodes, "small", ends[:1], ends[1:], [weight])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def run(value: tuple[dict[str, Any], dict[str, str], Damage, bool, str | None], folder: Path) -> None:
    """Predict the folder, by the run or by the file."""
    tree, changes, harm, by_file, out = value
    build(tree, folder / "pictures")
    network = str(home() / "run")
    if by_file:
        network = str(folder / "net.onnx")
        asked = onnx.ModelProto()
        asked.CopyFrom(model())
        helper.set_model_props(asked, {**ABOUT, **changes})
        Path(network).write_bytes(damaged(asked.SerializeToString(), harm))
    file = None if out is None else folder / out
    found = predict(network, (folder / "pictures",), out=file, workers=0, device="cpu", on_bad_image="skip")
    assert found["images"]
    assert file is None or file.stat().st_size
    json.dumps(found, allow_nan=False)


CHANGES = st.dictionaries(st.sampled_from(sorted(ABOUT)), st.sampled_from(JSON) | texts().map(json.dumps), max_size=2)
PLACES = (IMAGES | CLASSES).map(lambda tree: {"sound.png": ("image", "PNG", []), **tree}) | IMAGES
UTF8 = CHANGES.filter(lambda found: all(value.isascii() for value in found.values()))
PICTURES = Domain(st.tuples(PLACES, UTF8, st.just([]) | damage(), st.booleans(), st.sampled_from(OUT)), run)
