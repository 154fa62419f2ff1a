"""Distillation on boundary supporting samples: images moved to where the teacher is in two minds."""

from pathlib import Path
from typing import Any

import potstill as ps
from potstill.recipes.teacher import create_pair
from potstill.training import Training


def boundary(
    *,
    student: str,
    teacher: str,
    teacher_weights: Path | None = None,
    teacher_normalize: str | None = None,
    teacher_size: int | None = None,
    student_weights: Path | None = None,
    weight: float = 2.0,
    temperature: float = 3.0,
    attack_size: int = 32,
    warmup: int = 10,
    training: Training = Training(),
) -> dict[str, Any]:
    """Train a student to imitate its teacher on images that an attack has moved to the teacher's decision boundary.

    Heo et al., "Knowledge distillation with adversarial samples supporting decision boundary", AAAI 2019:
    https://arxiv.org/abs/1805.05532, as the Knowledge-Distillation-Zoo has it: beside a cross-entropy of weight 1,
    nothing in the first epochs, then a weight on a line that falls from epoch 0 to 0 at 80 % of the run.

    Args:
        student: the network to train, for example resnet20.
        teacher: a trained network: a run folder, timm:NAME, torchvision:NAME, or a network whose weights are given.
        teacher_weights: its weights: a safetensors or torch file, or pretrained for what timm or torchvision offer.
        teacher_normalize: mean and deviation of the images it was trained on, if not known from there: see normalize.
        teacher_size: height and width of those images.
        student_weights: weights to start the student from: a file, a run folder or pretrained; fresh ones by default.
        weight: of the attacked images, at the height the line has in epoch 0.
        temperature: of their probabilities.
        attack_size: how many images of a batch to attack at most.
        warmup: epochs without any.
    """
    from potstill.losses.bss import BoundaryAttack

    record = {"recipe": "boundary", **locals()}
    data = training.load_data()
    networks = create_pair(
        student,
        teacher,
        data,
        seed=training.seed,
        student_weights=student_weights,
        teacher_weights=teacher_weights,
        teacher_normalize=teacher_normalize,
        teacher_size=teacher_size,
    )
    falling = ps.schedules.from_epoch(ps.schedules.linear(weight, epochs=round(0.8 * training.epochs)), warmup)
    networks["attack"] = BoundaryAttack(networks["teacher"], attack_size)
    bss = ps.losses.BSS(temperature)
    terms = [
        ps.Term(ps.losses.CE(), "student", "labels"),
        ps.Term(bss, "student@attack", "teacher@attack", weight=falling, name="BSS student"),
    ]
    distiller = ps.Distiller(
        networks,
        terms,
        example=data.example(),
        seed=training.seed,
        inputs={"attack": ("images", "labels", "student", "teacher")},
        classifiers=["student", "teacher"],
    )
    return ps.fit(distiller, data, training, record)
