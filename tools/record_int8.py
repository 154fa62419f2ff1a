"""Record what 8-bit numbers cost some students: accuracy before and after, and sizes of files.

    python tools/record_int8.py docs/results/int8 runs/int8

Trains the students small (a run that is there is not repeated), exports each with ``potstill export --int8``, and
writes record.json and a page that quotes it.
CIFAR-10 and the teacher lie in $POTSTILL_DATA.
"""

import contextlib
import io
import json
import os
import sys
from pathlib import Path
from typing import Any

from potstill.cli import main as potstill

FEW = ["--images", "4000", "--test-images", "5000", "--epochs", "5", "--batch-size", "64"]
DATA = os.environ.get("POTSTILL_DATA", "data")
TEACHER = ["--teacher", "resnet56a", "--teacher-weights", f"{DATA}/teachers/resnet56-4bfd9763.th"]
CIFAR = ["--data", "cifar10", "--normalize", "imagenet", *FEW, "--schedule", "cosine", "--device", "cpu"]
DIGITS = ["supervised", "--network", "resnet8", "--data", "digits", "--epochs", "40", "--lr", "0.05"]
STUDENTS = {
    "resnet8-digits": DIGITS,
    "resnet8-digits-qat": [*DIGITS, "--qat"],
    "resnet20-kd-cifar10": ["distill", "--student", "resnet20", *TEACHER, *CIFAR, "--lr", "0.05"],
    "mobilenetv2-cifar10": ["supervised", "--network", "mobilenetv2x0.5", *CIFAR, "--lr", "0.02"],
}


HEAD = ("student", "float", "int8", "points lost", "same class, %", "test images", "bytes float", "bytes int8")


def main() -> None:
    target, runs = map(Path, sys.argv[1:])
    record = {}
    for name, words in STUDENTS.items():
        run = runs / name
        if potstill([*words, "--out", str(run)]):
            raise SystemExit(f"{name} was not trained")
        record[name] = exported(run)
        target.mkdir(parents=True, exist_ok=True)
        (target / "record.json").write_text(json.dumps(record, indent=1) + "\n")
        (target / "README.md").write_text(page(record))


def exported(run: Path) -> dict[str, Any]:
    """What the command says of a run's file of 8-bit numbers."""
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        code = potstill(["export", str(run), "--int8", "--max-drop", "100", "--no-latency", "--json"])
    if code:
        raise SystemExit(f"{run} was not exported")
    found = json.loads(text.getvalue())
    kept = ("network", "bytes", "parameters", "int8")
    return {key: found[key] for key in kept}


def page(record: dict[str, dict[str, Any]]) -> str:
    lines = [
        "# Students in 8-bit numbers",
        "",
        "Written by `tools/record_int8.py`, which has the commands, from `record.json`. Test top-1 in percent, by",
        "onnxruntime; sizes of the ONNX files in bytes. Trained small: what counts is the difference.",
        "",
        f"| {' | '.join(HEAD)} |",
        "|---" * len(HEAD) + "|",
    ]
    for name, found in record.items():
        one = found["int8"]
        cells = [f"{one[key]:.2f}" for key in ("float_top1", "top1", "drop", "same")]
        sizes = [f"{size:,}" for size in (one["n"], one["float_bytes"], found["bytes"])]
        lines.append(f"| {' | '.join([name, *cells, *sizes])} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
