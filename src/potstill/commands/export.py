"""``potstill export``: a run's plain student as a file that needs no potstill."""

from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal


def export(
    run: str,
    /,
    *,
    to: Literal["onnx", "torch", "safetensors"] = "onnx",
    out: Path | None = None,
    best: bool = False,
    data_dir: Path | None = None,
    latency: bool = True,
) -> dict[str, Any]:
    """Write a run's student as ONNX, torch.export or plain weights, and check it against the original.

    The file computes the same logits as the network does, for any number of the run's own test images; otherwise it is
    not kept. It holds the classes' names and the normalisation. Parameters, multiply-adds, accuracy and latency (on the
    CPU, medians in milliseconds, and the quartiles around them) of student and teacher stand side by side.

    Args:
        run: a run folder; of several networks, the student or the light net is meant, or FOLDER:NAME.
        to: onnx; torch: a .pt2 file of torch.export; safetensors: weights, and a Python file that loads them.
        out: the file; by default one in the folder "export" of the run's.
        best: the weights of the best epoch, instead of the last.
        data_dir: where the run's data set lies; by default where it lay when the run was made.
        latency: measure how long a forward pass of 1 and of 64 images takes.
    """
    import potstill.export as exporting

    chosen = exporting.choose_network(run, best)
    data = exporting.run_images(chosen, data_dir)
    network = exporting.rebuild(chosen.identity, data.input, chosen.weights)
    written = exporting.write(chosen, network, data, to, out)
    measured = None if to == "safetensors" else written.run  # plain weights are the network itself
    return {
        **{"run": str(chosen.folder), "name": chosen.name, "network": chosen.spec, "weights": chosen.epoch},
        **{"file": str(written.files[0]), "format": to, "bytes": written.files[0].stat().st_size},
        **({"loader": str(written.files[1])} if written.files[1:] else {}),
        **exporting.compare(chosen, network, data, measured, latency),
        "check": str(written.found),
        "checked": [asdict(batch) for batch in written.found.batches],
        "code": exporting.usage(written.files[0], to, data),
    }
