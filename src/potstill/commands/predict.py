"""``potstill predict``: which classes pictures are of, says a trained network."""

from pathlib import Path
from typing import Annotated, Any, Literal

from potstill.errors import BadInput
from potstill.ranges import Count, Range

SHOWN = 100
"""Pictures in the table at most."""


def predict(
    run: str,
    images: tuple[Path, ...],
    /,
    *,
    top: Count = 5,
    out: Path | None = None,
    best: bool = False,
    on_bad_image: Literal["fatal", "skip"] = "fatal",
    workers: Annotated[int, Range(0, 1024)] | None = None,
    device: str = "auto",
) -> dict[str, Any]:
    """Tell which classes pictures are of, and how probable each is, by a trained network.

    Pictures are read, scaled, cut and normalised as the run did it with its test images. Those that cannot be read are
    named, and the others predicted; the exit code is 2 then, unless --on-bad-image skip says that it may be so.

    Args:
        run: a run folder, whose student or light net is meant, or FOLDER:NAME; or an ONNX file of potstill export.
        images: pictures, and folders of them, with all that lies below.
        top: how many classes are told of each picture.
        out: a file for the predictions: .csv, .parquet (a row a picture) or .json; by default they are printed.
        best: the weights of the best epoch, instead of the last.
        on_bad_image: what it means that one cannot be read: fatal, exit code 2; skip, exit code 0.
        workers: processes that decode, where there are many pictures; by default one a core.
        device: cpu, cuda, ...; auto takes a GPU if there is one. ONNX files run on the CPU.
    """
    from potstill import predicting
    from potstill.cores import cores
    from potstill.device import find_device
    from potstill.say import say

    if out is not None:
        predicting.must_be_writable(out)
    pictures = predicting.find_pictures(images)
    if run.lower().endswith(".onnx") and Path(run).is_file():
        if best:
            raise BadInput(f"--best is for a run folder; the weights in {run} are those that were exported")
        classifier = predicting.of_onnx(Path(run))
    else:
        classifier = predicting.of_run(run, best, find_device(device))
    found = predicting.predict(classifier, pictures, top, cores() if workers is None else workers)
    for name, reason in found.unreadable.items():
        say(f"{name} cannot be read and is left out: {reason}")
    result: dict[str, Any] = {**classifier.about, "images": len(found.images), "classes": len(found.classes)}
    if out is not None:
        predicting.write(out, found, classifier.about)
        result["out"] = str(out)
    else:
        result["predictions"] = list(found.rows())
    wrong = [f"{name} cannot be read: {reason}" for name, reason in found.unreadable.items()]
    return {**result, "unreadable": found.unreadable_rows(), "wrong": wrong if on_bad_image == "fatal" else []}


def prediction_rows(predictions: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Predictions as the rows of a table: the first of them, if there are many."""
    rows = []
    for one in predictions[:SHOWN]:
        first, *others = one["top"]
        then = ", ".join(f"{other['class']} {_percent(other)}" for other in others)
        rows.append({"image": one["image"], "class": first["class"], "%": _percent(first), "then": then})
    if left := len(predictions) - SHOWN:
        more = {"image": f"and {left:,} more: --out FILE.csv, --json", "class": "", "%": "", "then": ""}
        rows += [more] if left > 0 else []
    return rows


def _percent(one: dict[str, Any]) -> str:
    return f"{100 * one['probability']:.1f}"
