"""``potstill export``: a run's plain student as a file that needs no potstill."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from potstill.errors import BadInput
from potstill.ranges import Count, Points

if TYPE_CHECKING:
    from torch import nn

    from potstill.export.images import RunImages
    from potstill.export.run_network import RunNetwork

MAX_DROP = 1.0
"""Points of top-1 that 8-bit numbers may cost, if nothing else is said."""


def export(
    run: str,
    /,
    *,
    to: Literal["onnx", "torch", "executorch", "safetensors"] = "onnx",
    out: Path | None = None,
    best: bool = False,
    data_dir: Path | None = None,
    latency: bool = True,
    int8: bool = False,
    calibration_images: Count | None = None,
    max_drop: Points | None = None,
) -> dict[str, Any]:
    """Write a run's student as ONNX, torch.export, ExecuTorch or plain weights, and check it against the original.

    The file computes the same logits as the network does, for any number of the run's own test images; otherwise it is
    not kept. It holds the classes' names and the normalisation. Parameters, multiply-adds, accuracy and latency (on the
    CPU, medians in milliseconds, and the quartiles around them) of student and teacher stand side by side.

    Args:
        run: a run folder; of several networks, the student or the light net is meant, or FOLDER:NAME.
        to: onnx; torch: a .pt2 file of torch.export; executorch: a .pte file for one image at a time, on phones;
            safetensors: weights, and a Python file that loads them.
        out: the file; by default one in the folder "export" of the run's.
        best: the weights of the best epoch, instead of the last.
        data_dir: where the run's data set lies; by default where it lay when the run was made.
        latency: measure how long a forward pass of 1 and of 64 images takes.
        int8: ONNX of 8-bit numbers, smaller and on most processors faster; refused if it loses too much accuracy.
        calibration_images: for --int8: training images on which ranges are measured; by default 500, or all there are.
        max_drop: for --int8: points of top-1 that may be lost on the run's test images; by default 1.
    """
    import potstill.export as exporting

    _must_be_of_int8(int8, to, {"--calibration-images": calibration_images, "--max-drop": max_drop})
    chosen = exporting.choose_network(run, best)
    data = exporting.run_images(chosen, data_dir)
    network = exporting.rebuild(chosen.identity, data.input, chosen.weights)
    about = {"run": str(chosen.folder), "name": chosen.name, "network": chosen.spec, "weights": chosen.epoch}
    if int8:
        return {**about, **_int8(chosen, network, data, out, latency, calibration_images, max_drop)}
    written = exporting.write(chosen, network, data, to, out)
    measured = None if to == "safetensors" else written.run  # plain weights are the network itself
    return {
        **about,
        **{"file": str(written.files[0]), "format": to, "bytes": written.files[0].stat().st_size},
        **({"loader": str(written.files[1])} if written.files[1:] else {}),
        **exporting.compare(chosen, network, data, measured, latency),
        "check": str(written.found),
        "checked": [asdict(batch) for batch in written.found.batches],
        "code": exporting.usage(written.files[0], to, data),
    }


def _must_be_of_int8(int8: bool, to: str, settings: dict[str, float | None]) -> None:
    """Refuse what goes with --int8 only, and what that does not go with."""
    if int8 and to != "onnx":
        raise BadInput(f"--int8 is for --to onnx, not --to {to}")
    for flag, value in {} if int8 else settings.items():
        if value is not None:
            raise BadInput(f"{flag} {value:g} is for --int8")


def _int8(
    chosen: "RunNetwork",
    network: "nn.Module",
    data: "RunImages",
    out: Path | None,
    latency: bool,
    calibration_images: int | None,
    max_drop: float | None,
) -> dict[str, Any]:
    """A file of 8-bit numbers, beside the network and the file of 32-bit numbers."""
    import potstill.export as exporting

    limit = MAX_DROP if max_drop is None else max_drop
    written = exporting.write_int8(chosen, network, data, calibration_images, limit, out)
    size, measured = written.file.stat().st_size, written.measured
    compared = exporting.compare(chosen, network, data, written.run, latency)
    rows = {
        "top-1, %, of the files": (f"{measured.float_top1:.2f}", f"{measured.top1:.2f}"),
        "bytes of the files": (measured.float_bytes, size),
    }
    table = [{"cost": cost, chosen.name: before, "file": after} for cost, (before, after) in rows.items()]
    return {
        **{"file": str(written.file), "format": "onnx, int8", "bytes": size},
        **compared,
        "table": exporting.aligned([*compared["table"], *table]),
        "check of float": str(written.found),
        "int8": asdict(measured),
        "code": exporting.usage(written.file, "onnx", data),
    }
