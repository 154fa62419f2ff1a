"""Training a student with the help of a teacher: any loss or several, any two networks."""

from pathlib import Path
from typing import Any

import potstill as ps
from potstill.recipes.teacher import create_pair
from potstill.recipes.term_strings import parse_terms
from potstill.training import Training


def distill(
    *,
    student: str,
    teacher: str,
    teacher_weights: Path | None = None,
    student_weights: Path | None = None,
    terms: tuple[str, ...] = ("0.1 * CE", "0.9 * KD(temperature=4)"),
    training: Training = Training(),
) -> dict[str, Any]:
    """Train a student with the help of a frozen teacher, by one loss or several.

    Args:
        student: the network to train, for example resnet20.
        teacher: a trained network: a run folder, or a network whose weights are given.
        teacher_weights: the teacher's weights, a safetensors or torch file.
        student_weights: weights to start the student from; fresh ones by default.
        terms: what to minimise, one string a term: "weight * Loss(arguments) on taps". "1000 * AT on stages" is
            one a stage, "FitNet on layer3=blocks.8" pairs a student's tap with a teacher's, "file.py:Loss" is your own.
    """
    record = {"recipe": "distill", **locals()}
    data = training.load_data()
    weights = {"student_weights": student_weights, "teacher_weights": teacher_weights}
    networks = create_pair(student, teacher, data, seed=training.seed, **weights)
    distiller = ps.Distiller(networks, parse_terms(terms, networks), example=data.example(), seed=training.seed)
    return ps.fit(distiller, data, training, record)
