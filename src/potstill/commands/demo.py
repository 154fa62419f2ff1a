"""``potstill demo``: what help is worth, on the embedded digits."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

from potstill.recipes import distill, rocket, supervised
from potstill.runs.headline import value_of
from potstill.runs.schema import Summary
from potstill.runs.spread import Spread
from potstill.training import Training

SEEDS = 3
STUDENT, TEACHER = "wrn-10-1", "wrn-22-1"
TERMS = ("0.5 * CE", "0.5 * KD(temperature=4)", "10 * AT on stages")
ALONE, HELPED, ROCKET = "student alone", "student with KD + AT", "student as a rocket"


def demo(*, out: Path = Path("runs/demo")) -> dict[str, Any]:
    """Distil on the embedded digits in under two minutes: a student alone, with a teacher's help, and as a rocket.

    Args:
        out: folder of the runs and the report; a run that is finished there is not repeated.
    """
    import torch

    from potstill.report import write_report

    torch.set_num_threads(1)  # images of 8x8 pixels keep no second one busy
    budget = Training(data="digits", epochs=4, batch_size=32, lr=0.03, schedule="cosine")
    teacher = out / "teacher"
    supervised(network=TEACHER, training=replace(budget, epochs=15, lr=0.05, out=teacher))
    recipes: dict[str, Callable[[Training], Summary]] = {
        ALONE: lambda training: supervised(network=STUDENT, training=training),
        HELPED: lambda training: distill(student=STUDENT, teacher=str(teacher), terms=TERMS, training=training),
        ROCKET: lambda training: rocket(light=STUDENT, booster=TEACHER, training=training),
    }
    folders: dict[str, list[Path]] = {"teacher": [teacher]} | {name: [] for name in recipes}
    accuracies: dict[str, list[float]] = {name: [] for name in recipes}
    for seed in range(SEEDS):
        for name, recipe in recipes.items():
            folder = out / f"{name.replace(' + ', '-').replace(' ', '-')}-{seed}"
            learners = recipe(replace(budget, seed=seed, out=folder))["learners"]
            small = learners.get("student") or learners["light"]
            accuracy = value_of(small["last"]["test"])
            assert accuracy is not None, "the digits have labels"
            accuracies[name].append(accuracy)
            folders[name].append(folder)
    report = write_report(out / "report.html", "Potstill demo: digits", folders)
    rows = [
        {
            "network": name,
            "seeds": len(values),
            "last epoch, % of the test images": str(Spread(tuple(values))),
        }
        for name, values in accuracies.items()
    ]
    return {"table": rows, "accuracies": accuracies, "verdict": verdict(accuracies), "report": str(report)}


def verdict(accuracies: dict[str, list[float]]) -> str:
    """What the numbers say, good or bad: the mean over the seeds of each helped student against the one alone."""
    alone = mean(accuracies[ALONE])
    gains = {name: mean(values) - alone for name, values in accuracies.items() if name != ALONE}
    said = [f"the {name} {'beats' if gain > 0 else 'does not beat'} it: {gain:+.2f}" for name, gain in gains.items()]
    return f"against the {ALONE}, in points, mean over {len(accuracies[ALONE])} seeds: {'; '.join(said)}"
