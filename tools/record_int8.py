"""Record what 8-bit numbers cost three students, trained with --qat and without: accuracy before and after, file sizes.

    python tools/record_int8.py docs/results/int8 runs/int8
    python tools/record_int8.py /tmp/int8 /tmp/runs --quick   # an epoch of few images each: that it works

Trains the students small (a run that is there is not repeated), exports each with ``potstill export --int8``, and
writes record.json and a page that quotes it, anew after each. CIFAR-10 and the teacher lie in $POTSTILL_DATA.
"""

import argparse
import contextlib
import io
import json
import os
from pathlib import Path
from typing import Any

from potstill.cli import main as potstill

DATA = os.environ.get("POTSTILL_DATA", "data")
TEACHER = ["--teacher", "resnet56a", "--teacher-weights", f"{DATA}/teachers/resnet56-4bfd9763.th"]
FEW = ["--images", "4000", "--test-images", "5000", "--epochs", "5", "--batch-size", "64"]
CIFAR = ["--data", "cifar10", "--normalize", "imagenet", *FEW, "--schedule", "cosine", "--device", "cpu"]
DIGITS = ["--data", "digits", "--epochs", "40", "--lr", "0.05", "--device", "cpu"]
STUDENTS = {
    "resnet8, digits": ["supervised", "--network", "resnet8", *DIGITS],
    "resnet20, CIFAR-10, KD": ["distill", "--student", "resnet20", *TEACHER, *CIFAR, "--lr", "0.05"],
    "mobilenetv2x0.5, CIFAR-10": ["supervised", "--network", "mobilenetv2x0.5", *CIFAR, "--lr", "0.02"],
}
WAYS = {"plain": [], "--qat": ["--qat"]}
QUICK = ["--images", "96", "--test-images", "100", "--epochs", "1", "--batch-size", "32"]
"""What takes the place of the budgets above, the last of a flag being taken."""
HEAD = (
    "student",
    "trained",
    "float",
    "int8",
    "points lost",
    "same class, %",
    "test images",
    "bytes float",
    "bytes int8",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", type=Path, help="folder of the record and its page")
    parser.add_argument("runs", type=Path, help="folder of the runs")
    parser.add_argument("--quick", action="store_true", help="few images, one epoch")
    given = parser.parse_args()
    given.target.mkdir(parents=True, exist_ok=True)
    record: dict[str, dict[str, Any]] = {}
    for name, words in STUDENTS.items():
        for way, flags in WAYS.items():
            run = given.runs / f"{words[0]}-{words[2]}{''.join(flags)}"
            if potstill([*words, *flags, *(QUICK if given.quick else []), "--out", str(run)]):
                raise SystemExit(f"{name} was not trained")
            record.setdefault(name, {})[way] = exported(run)
            (given.target / "record.json").write_text(json.dumps(record, indent=1) + "\n")
            (given.target / "README.md").write_text(page(record))
    print(page(record))


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
        "onnxruntime; sizes of the ONNX files in bytes. Each student is trained twice, plainly and with `--qat`;",
        "small: what counts is the difference. Same: how many images have the same class in both files.",
        "",
        f"| {' | '.join(HEAD)} |",
        "|---" * len(HEAD) + "|",
    ]
    for name, ways in record.items():
        for way, found in ways.items():
            one = found["int8"]
            cells = [f"{one[key]:.2f}" for key in ("float_top1", "top1", "drop", "same")]
            sizes = [f"{size:,}" for size in (one["n"], one["float_bytes"], found["bytes"])]
            lines.append(f"| {' | '.join([name, way, *cells, *sizes])} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
