"""Record three comparisons under docs/results/compare: digits, 5,000 images of CIFAR-10, photographs in ten classes.

    python tools/record_compare.py docs/results/compare runs/compare
    python tools/record_compare.py docs/results/compare runs/compare --only cifar10 -- --jobs 2
    python tools/record_compare.py /tmp/compare /tmp/runs --only digits --quick   # that it works

Started again, it goes on where it was. Words after -- go to ``potstill compare``. CIFAR-10, its teacher and the
ImageNet sample lie in $POTSTILL_DATA. The photographs are that sample: one image for every second class, in ten classes
made of a hundred neighbouring ones each, which are much alike; every fifth is a test image.
"""

import argparse
import json
import os
import shutil
import sys
from pathlib import Path

from potstill.cli import main as potstill

DATA = os.environ.get("POTSTILL_DATA", "data")
SAMPLE = Path(DATA, "imagenet_sample", "sample-00000-of-00001.parquet")
TEST_EVERY, NEIGHBOURS = 5, 100
METHODS = ["KD", "DKD", "DIST", "AT", "FitNet", "SP", "RKD", "CRD"]
COMMON = "--batch-size 64 --schedule cosine --device cpu"
FILES = ("table.csv", "table.json", "tune.json")
COMPARISONS = {
    "digits": {
        "teacher": "supervised --network resnet20 --data digits --epochs 30 --lr 0.05 {common} --seed 100 "
        "--out {teacher}",
        "compare": "--student resnet8 --teacher {teacher} --data digits --images 300 --epochs 20 --lr 0.05 --seeds 5",
    },
    "cifar10": {
        "compare": "--student resnet20 --teacher resnet56a --teacher-weights {data}/teachers/resnet56-4bfd9763.th "
        "--data cifar10 --normalize imagenet --images 5000 --test-images 5000 --epochs 20 --lr 0.05 --seeds 5",
    },
    "photographs": {
        "teacher": "supervised --network resnet34 --data {photographs} --image-size 64 --epochs 30 --lr 0.02 {common} "
        "--seed 100 --out {teacher}",
        "compare": "--student resnet18 --teacher {teacher} --data {photographs} --image-size 64 --epochs 20 --lr 0.02 "
        "--seeds 5",
    },
}
QUICK = "--images 64 --test-images 32 --epochs 1 --batch-size 32 --seeds 2"
"""What takes the place of the budgets above, the last of a flag being taken."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", type=Path, help="folder of what is recorded")
    parser.add_argument("runs", type=Path, help="folder of the runs")
    parser.add_argument("--only", choices=COMPARISONS, help="one of them")
    parser.add_argument("--quick", action="store_true", help="few images, one epoch, two methods")
    words, _, further = " ".join(sys.argv[1:]).partition(" -- ")
    given = parser.parse_args(words.split())
    for name in COMPARISONS if given.only is None else [given.only]:
        record(name, given.target, given.runs, given.quick, further.split())


def record(name: str, target: Path, runs: Path, quick: bool, further: list[str]) -> None:
    places = {"teacher": runs / f"{name}-teacher", "photographs": runs / "ten-classes", "data": DATA, "common": COMMON}
    if name == "photographs":
        write_photographs(runs / "ten-classes")
    commands = {what: words.format(**places).split() for what, words in COMPARISONS[name].items()}
    fewer = QUICK.split() if quick else []
    if "teacher" in commands and potstill([*commands["teacher"], *fewer[:-2]]):
        raise SystemExit(f"the teacher of {name} was not trained")
    out, methods = runs / name, METHODS[:2] if quick else METHODS
    words = [*commands["compare"], *COMMON.split(), *fewer, *further, "--out", str(out), "--methods", *methods]
    if potstill(["compare", *words]):
        raise SystemExit(f"{name} is not whole; the same command goes on")
    copy(out, target / name)


def write_photographs(folder: Path) -> None:
    """The sample as folders of images."""
    import pyarrow.parquet

    rows = pyarrow.parquet.read_table(SAMPLE, columns=["image", "label"]).to_pylist()
    for number, row in enumerate(sorted(rows, key=lambda row: row["label"])):
        split = "val" if number % TEST_EVERY == 0 else "train"
        first = row["label"] // NEIGHBOURS * NEIGHBOURS
        file = folder / split / f"{first:03}-{first + NEIGHBOURS - 1:03}" / f"{row['label']:03}.jpg"
        if not file.is_file():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(row["image"]["bytes"])


def copy(source: Path, target: Path) -> None:
    """The table and what was compared; where files lay on the machine is nobody's business."""
    target.mkdir(parents=True, exist_ok=True)
    for file in FILES:
        if (source / file).is_file():
            shutil.copyfile(source / file, target / file)
    for name, called in {"table.md": "README.md", "compare.json": "compare.json", "table.json": "table.json"}.items():
        text = (source / name).read_text().replace(f"{DATA}/", "").replace(f"{source.parent}/", "")
        (target / called).write_text(text)
    json.loads((target / "compare.json").read_text())  # it still is JSON


if __name__ == "__main__":
    main()
