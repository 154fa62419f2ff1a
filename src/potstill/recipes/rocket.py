"""Rocket Launching: a light net and its booster, trained together."""

from pathlib import Path
from typing import Any, Literal

import potstill as ps
from potstill.recipes.teacher import create_teacher
from potstill.training import Training


def rocket(
    *,
    light: str = "wrn-16-1",
    booster: str = "wrn-40-1",
    share: Literal["interval", "none"] = "interval",
    gradient_block: bool = True,
    gamma: float = 0.03,
    teacher: str | None = None,
    teacher_weights: Path | None = None,
    alpha: float = 0.9,
    temperature: float = 4.0,
    training: Training = Training(optimizer="sgd", border="reflect"),
) -> dict[str, Any]:
    """Launch a light net with a booster: both learn from the labels, share weights, and the light net follows.

    Zhou et al., "Rocket launching", AAAI 2018, eq. 2: https://arxiv.org/abs/1708.04106. Each network alone is saved
    as a plain one: light.safetensors, booster.safetensors.

    Args:
        light: the small network, which is wanted.
        booster: the large one, thrown away in the end.
        share: interval: the light net's convolutions are the booster's of the same place; none: nothing is shared.
        gradient_block: keep the hint's gradient from the booster; without, it reaches both.
        gamma: weight of the hint: the squared difference of the logits, summed over classes, mean over the batch.
        teacher: a third, trained network, whose KD is added to the light net's loss.
        teacher_weights: its weights, a safetensors or torch file.
        alpha: weight of that KD: 2 alpha T^2 times the mean over batch and classes.
        temperature: its temperature T.
    """
    record = {"recipe": "rocket", **locals()}
    data = training.load_data()
    classes = len(data.classes)
    networks = {
        "light": ps.networks.create(light, classes, seed=training.seed),
        "booster": ps.networks.create(booster, classes, seed=training.seed),
    }
    if share == "interval":
        ps.networks.share(networks["light"], networks["booster"])
    hint = ps.losses.Logits(reduction="batchmean")
    terms = [
        ps.Term(ps.losses.CE(), "light", "labels"),
        ps.Term(ps.losses.CE(), "booster", "labels"),
        ps.Term(hint, "light", "booster", weight=gamma, both=not gradient_block, name="hint"),
    ]
    if teacher is not None:
        networks["teacher"] = create_teacher(teacher, classes, teacher_weights)
        kd = ps.losses.KD(temperature, reduction="elementmean")
        terms.append(ps.Term(kd, "light", "teacher", weight=2 * alpha))
    distiller = ps.Distiller(networks, terms, example=data.example(), seed=training.seed)
    return ps.fit(distiller, data, training, record)
