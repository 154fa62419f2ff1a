"""Record what `potstill embed` makes of three kinds of teachers: how good the student's features are.

    python tools/record_embed.py docs/results/embed runs/embed

A network of ours that was trained on the same digits, a vision transformer of timm with random weights, and a backbone
of `transformers` with random weights, each alone. The last two show what the wiring carries over; that random features
are worth something to the nearest neighbours is well known. A run that is there is not repeated.

On digits, and on photographs: the ImageNet sample in $POTSTILL_DATA, without its labels, of which each is given to one
image. There, only the agreement with the teacher says something.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import torch

from potstill.cli import main as potstill

SAMPLE = f"{os.environ.get('POTSTILL_DATA', 'data')}/imagenet_sample"
# Of each: where images are, pixels a side, how the trained teacher came about, and the student.
DATA = {
    "digits": ("--data digits --epochs 20 --batch-size 64", 8, "resnet14", "resnet8"),
    "photographs": (
        f"--data {SAMPLE} --image-size 48 --workers 0 --epochs 10 --batch-size 50",
        48,
        "timm:resnet14t",
        "timm:resnet10t",
    ),
}
MACHINE = "--device cpu --seed 0"
VIT = """\
import timm
import torch


def vit():
    torch.manual_seed(0)
    return timm.create_model(
        "vit_tiny_patch16_224", img_size={size}, patch_size={patch}, depth=4, embed_dim=96, num_heads=3
    )
"""
DINO = {"hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4}
HEAD = ("images", "teacher", "k-NN before", "after", "teacher's own")
HEAD += ("probe before", "after", "teacher's own", "cosine")


def main() -> None:
    target, runs = map(Path, sys.argv[1:])
    record: dict[str, dict[str, Any]] = {}
    for images, (data, size, network, student) in DATA.items():
        folder = runs / images
        labels = "--unlabelled" if images == "photographs" else ""
        for name, teacher in teachers(folder, data, size, network).items():
            out = folder / f"by-{name}"
            words = f"embed --student {student} --teachers {teacher} {data} {labels} {MACHINE} --out {out}"
            if potstill(words.split()):
                raise SystemExit(f"{name} was not embedded")
            record.setdefault(images, {})[name] = found_in(out)
    target.mkdir(parents=True, exist_ok=True)
    (target / "record.json").write_text(json.dumps(record, indent=1) + "\n")
    (target / "README.md").write_text(page(record))


def teachers(runs: Path, data: str, size: int, network: str) -> dict[str, str]:
    """The teachers, by what they are: made where they are not there."""
    from transformers import Dinov2Config, Dinov2Model

    runs.mkdir(parents=True, exist_ok=True)
    trained, backbone = runs / "trained", runs / "dinov2"
    words = f"supervised --network {network} {data} --lr 0.05 {MACHINE} --out {trained}"
    if potstill(words.split()):
        raise SystemExit("the teacher was not trained")
    patch = max(2, size // 8)
    (runs / "vit.py").write_text(VIT.format(size=size, patch=patch))
    torch.manual_seed(0)
    Dinov2Model(Dinov2Config(**DINO, image_size=size, patch_size=patch)).save_pretrained(backbone)
    return {"trained": str(trained), "random-vit": f"{runs}/vit.py:vit", "random-dinov2": f"hf:{backbone}"}


def found_in(out: Path) -> dict[str, Any]:
    """What a run's own files say of it."""
    config, summary = (json.loads((out / name).read_text()) for name in ("config.json", "summary.json"))
    learner = summary["learners"]["student"]
    (teacher,) = summary["teachers"].values()
    return {
        "commit": config["commit"],
        "versions": config["versions"],
        "before": learner.get("start", {"test": {}})["test"],
        "after": learner["last"]["test"],
        "teacher": {key: teacher[key] for key in ("knn", "probe", "n") if key in teacher},
    }


def page(record: dict[str, dict[str, Any]]) -> str:
    lines = [
        "# Students of features, by three teachers",
        "",
        "Written by `tools/record_embed.py`, which has the commands, from `record.json`: seed 0, last epoch, a CPU;",
        "resnet8 on the digits, 20 epochs; resnet10t of timm on 500 photographs at 48 pixels, 10 epochs. k-NN and",
        "probe in percent of the test images; no student sees labels, and the photographs have none.",
        "",
        f"| {' | '.join(HEAD)} |",
        "|---" * len(HEAD) + "|",
    ]
    for images, found in record.items():
        for name, one in found.items():
            values = [one[when].get(what) for what in ("knn", "probe") for when in ("before", "after", "teacher")]
            cells = ["-" if value is None else f"{value:.2f}" for value in values]
            cells.append(f"{one['after']['cosine']:.3f}")
            lines.append(f"| {' | '.join([images, name, *cells])} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
