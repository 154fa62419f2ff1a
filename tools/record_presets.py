"""Record a short run of every preset, on digits and on photographs: what it trains with, and what comes out.

    python tools/record_presets.py docs/results/presets runs/presets

A run that is there is not repeated. The photographs are the ImageNet sample in $POTSTILL_DATA: one image for every
second class, so that their accuracy says nothing; that the loss falls is what they show.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from potstill.cli import main as potstill
from potstill.presets import PRESETS

SAMPLE = f"{os.environ.get('POTSTILL_DATA', 'data')}/imagenet_sample"
DATA = {
    "digits": "--data digits --images 800 --batch-size 64 --epochs 10",
    "photographs": f"--data {SAMPLE} --image-size 48 --workers 0 --batch-size 50 --epochs 10",
}
# Networks of timm, all of which have stochastic depth, as two of the presets want.
NETWORK, TEACHER = "timm:resnet10t", "timm:resnet14t"
# A preset's own epochs are ten times as many and more: what happens at an epoch, and rates for large batches, follow.
RUNS = {
    "cifar": f"supervised --network {TEACHER} --lr 0.05",
    "crd": f"supervised --network {NETWORK} --milestones 6 8",
    "deit": f"supervised --network {NETWORK} --warmup 1 --ema 0.9",
    "vanilla-kd": f"distill --student {NETWORK} --teacher {{runs}}/cifar --warmup 1 --terms CE KD(temperature=1)",
    "fine-tune": f"supervised --network {NETWORK} --weights {{runs}}/crd --lr 0.0005",
}
HEAD = ("preset", "data", "network", "epochs", "optimiser", "training loss, first and last epoch", "test top-1, %")


def main() -> None:
    target, runs = map(Path, sys.argv[1:])
    if PRESETS.keys() != RUNS.keys():
        raise SystemExit(f"presets that are run: {', '.join(RUNS)}; that there are: {', '.join(PRESETS)}")
    record = []
    for data, where in DATA.items():
        for preset, words in RUNS.items():
            out = runs / data / preset
            command = [*words.format(runs=runs / data).split(), "--preset", preset, *where.split(), "--out", str(out)]
            if potstill([*command, "--device", "cpu", "--seed", "0"]):
                raise SystemExit(f"{preset} on {data} was not trained")
            record.append({"preset": preset, "data": data, **found_in(out)})
            target.mkdir(parents=True, exist_ok=True)
            (target / "record.json").write_text(json.dumps(record, indent=1) + "\n")
            (target / "README.md").write_text(page(record))


def found_in(out: Path) -> dict[str, Any]:
    """What a run's own files say of it."""
    config, summary = (json.loads((out / name).read_text()) for name in ("config.json", "summary.json"))
    epochs = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    arguments = config["arguments"]
    return {
        "network": arguments.get("network") or arguments["student"],
        "commit": config["commit"],
        "versions": config["versions"],
        **{name: arguments[name] for name in ("epochs", "optimizer", "lr", "seed")},
        "losses": [sum(epoch["terms"].values()) for epoch in (epochs[0], epochs[-1])],
        "test": summary["learners"]["student"]["last"]["test"],
    }


def page(record: list[dict[str, Any]]) -> str:
    left = ", ".join(f"`{name}`" for name in RUNS)
    lines = [
        "# Every preset, trained for a moment",
        "",
        f"Written by `tools/record_presets.py`, which has the commands, from `record.json`: {left}, seed 0, on a CPU.",
        "The photographs are one for every second class of ImageNet: their accuracy says nothing, and is not shown.",
        "",
        f"| {' | '.join(HEAD)} |",
        "|---" * len(HEAD) + "|",
    ]
    for one in record:
        losses = f"{one['losses'][0]:.3f}, {one['losses'][1]:.3f}"
        top1 = f"{one['test']['top1']:.2f}" if one["data"] == "digits" else "-"
        cells = [one[key] for key in ("preset", "data", "network", "epochs", "optimizer")]
        lines.append(f"| {' | '.join(map(str, [*cells, losses, top1]))} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
