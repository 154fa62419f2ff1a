"""Moonshine: a student made of its teacher by swapping convolutions for cheap ones."""

from pathlib import Path
from typing import Any

import potstill as ps
from potstill.errors import BadInput
from potstill.recipes.teacher import create_teacher
from potstill.recipes.term_strings import parse_terms
from potstill.training import Training


def moonshine(
    *,
    teacher: str,
    conv: str,
    teacher_weights: Path | None = None,
    student: str | None = None,
    alpha: float = 0.0,
    beta: float = 1000.0,
    temperature: float = 4.0,
    training: Training = Training(optimizer="sgd"),
) -> dict[str, Any]:
    """Train a copy of the teacher with cheap convolutions, by attention transfer and KD.

        L = (1 - alpha) CE + 2 alpha T^2 mean of KL + beta * sum over stages of AT

    Crowley, Gray and Storkey, "Moonshine: distilling with cheap convolutions", NeurIPS 2018:
    https://arxiv.org/abs/1711.02613. As in the authors' code, the mean is over batch and classes, and beta belongs to
    three stages: with n of them, each has 3 beta / n.

    Args:
        teacher: a trained network: a run folder, or a network whose weights are given.
        conv: the student's convolutions, for example G8B2; see potstill describe NETWORK --conv.
        teacher_weights: the teacher's weights, a safetensors or torch file.
        student: another network to put the convolutions into; by default the teacher's own architecture.
        alpha: weight of KD, which takes as much from that of cross-entropy.
        beta: weight of attention transfer.
        temperature: of KD.
    """
    record = {"recipe": "moonshine", **locals()}
    if not 0 <= alpha <= 1:
        raise BadInput(f"--alpha is a fraction of 1, not {alpha}")
    data = training.load_data()
    classes = len(data.classes)
    frozen = create_teacher(teacher, classes, teacher_weights)
    base = student or str(frozen.spec)
    spec = base if conv == "Conv" else f"{base}+{conv}"  # Conv: nothing is cheaper than in the teacher
    networks = {"student": ps.networks.create(spec, classes, seed=training.seed), "teacher": frozen}
    attention = parse_terms(["AT on stages"], networks)
    for term in attention:
        term.weight = 3 * beta / len(attention)
    kd = ps.losses.KD(temperature, reduction="elementmean")
    terms = [
        ps.Term(ps.losses.CE(), "student", "labels", weight=1 - alpha),
        ps.Term(kd, "student", "teacher", weight=2 * alpha),
        *attention,
    ]
    distiller = ps.Distiller(networks, terms, example=data.example(), seed=training.seed)
    return ps.fit(distiller, data, training, record)
