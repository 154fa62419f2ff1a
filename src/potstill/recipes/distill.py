"""Training a student with the help of a teacher: any loss or several, any two networks."""

from pathlib import Path
from typing import Any

import potstill as ps
from potstill.recipes.teacher import create_learner
from potstill.recipes.teachers import Together, create_teachers, recorded, terms_of_teachers
from potstill.training import Training


def distill(
    *,
    student: str,
    teacher: str | tuple[str, ...],
    teacher_weights: Path | tuple[Path, ...] | None = None,
    teacher_normalize: str | tuple[str, ...] | None = None,
    teacher_size: int | tuple[int, ...] | None = None,
    teachers: Together = "mean",
    student_weights: Path | None = None,
    terms: tuple[str, ...] = ("0.1 * CE", "0.9 * KD(temperature=4)"),
    training: Training = Training(),
) -> dict[str, Any]:
    """Train a student with the help of a frozen teacher, by one loss or several.

    Args:
        student: the network to train, for example resnet20.
        teacher: a trained network: a run folder, timm:NAME, torchvision:NAME, or a network whose weights are given; or
            several, each of which gets the flags below in the same order.
        teacher_weights: its weights: a safetensors or torch file, or pretrained for what timm or torchvision offer.
        teacher_normalize: mean and deviation of the images it was trained on, if not known from there: see normalize.
        teacher_size: height and width of those images.
        teachers: several are one teacher, the mean of their logits; or each has a term of its own, of the n-th part of
            the weight. Terms on their insides are always one each.
        student_weights: weights to start the student from: a file, a run folder or pretrained; fresh ones by default.
        terms: what to minimise, one string a term: "weight * Loss(arguments) on taps". "1000 * AT on stages" is
            one a stage, "FitNet on layer3=blocks.8" pairs a student's tap with a teacher's, "file.py:Loss" is your own.
    """
    record = recorded("distill", **locals())
    data = training.load_data()
    networks = {
        "student": create_learner(student, data, seed=training.seed, weights=student_weights),
        **create_teachers(
            teacher, data, teachers, weights=teacher_weights, normalize=teacher_normalize, size=teacher_size
        ),
    }
    example = data.example()
    parsed = terms_of_teachers(terms, networks, images=example["images"][:2])
    distiller = ps.Distiller(networks, parsed, example=example, seed=training.seed)
    return ps.fit(distiller, data, training, record)
