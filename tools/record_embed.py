"""Record what `potstill embed` makes of three kinds of teachers: how good the student's features are.

    python tools/record_embed.py docs/results/embed runs/embed

A network of ours that was trained on the same digits, a vision transformer of timm with random weights, and a backbone
of `transformers` with random weights, each alone. The last two show what the wiring carries over; that random features
are worth something to the nearest neighbours is well known. A run that is there is not repeated.
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch

from potstill.cli import main as potstill

DATA = "--data digits --device cpu --seed 0"
VIT = """\
import timm


def vit():
    return timm.create_model(
        "vit_tiny_patch16_224", pretrained=False, img_size=8, patch_size=2, depth=4, embed_dim=96, num_heads=3
    )
"""
DINO = {"hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4, "image_size": 8, "patch_size": 2}
HEAD = ("teacher", "k-NN before", "after", "teacher's own", "probe before", "after", "teacher's own", "cosine")


def main() -> None:
    target, runs = map(Path, sys.argv[1:])
    record = {}
    for name, teacher in teachers(runs).items():
        out = runs / name
        words = f"embed --student resnet8 --teachers {teacher} {DATA} --epochs 20 --batch-size 64 --out {out}"
        if potstill(words.split()):
            raise SystemExit(f"{name} was not embedded")
        record[name] = found_in(out)
    target.mkdir(parents=True, exist_ok=True)
    (target / "record.json").write_text(json.dumps(record, indent=1) + "\n")
    (target / "README.md").write_text(page(record))


def teachers(runs: Path) -> dict[str, str]:
    """The teachers, by what they are: made where they are not there."""
    from transformers import Dinov2Config, Dinov2Model

    runs.mkdir(parents=True, exist_ok=True)
    trained, backbone = runs / "trained", runs / "dinov2"
    words = f"supervised --network resnet14 {DATA} --epochs 20 --batch-size 64 --lr 0.05 --out {trained}"
    if potstill(words.split()):
        raise SystemExit("the teacher was not trained")
    (runs / "vit.py").write_text(VIT)
    torch.manual_seed(0)
    Dinov2Model(Dinov2Config(**DINO)).save_pretrained(backbone)
    return {"trained-resnet14": str(trained), "random-vit": f"{runs}/vit.py:vit", "random-dinov2": f"hf:{backbone}"}


def found_in(out: Path) -> dict[str, Any]:
    """What a run's own files say of it."""
    config, summary = (json.loads((out / name).read_text()) for name in ("config.json", "summary.json"))
    learner = summary["learners"]["student"]
    (teacher,) = summary["teachers"].values()
    return {
        "commit": config["commit"],
        "versions": config["versions"],
        "before": learner["start"]["test"],
        "after": learner["last"]["test"],
        "teacher": {key: teacher[key] for key in ("knn", "probe", "n")},
    }


def page(record: dict[str, dict[str, Any]]) -> str:
    lines = [
        "# Students of features, by three teachers",
        "",
        "Written by `tools/record_embed.py`, which has the commands, from `record.json`: resnet8 on the digits, 20",
        "epochs, seed 0, last epoch, on a CPU. k-NN and probe in percent of the test images; no student sees labels.",
        "",
        f"| {' | '.join(HEAD)} |",
        "|---" * len(HEAD) + "|",
    ]
    for name, one in record.items():
        values = [one[when][what] for what in ("knn", "probe") for when in ("before", "after", "teacher")]
        cells = [f"{value:.2f}" for value in values] + [f"{one['after']['cosine']:.3f}"]
        lines.append(f"| {' | '.join([name, *cells])} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
