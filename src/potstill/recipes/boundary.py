"""Distillation on boundary supporting samples: images moved to where the teacher is in two minds."""

from pathlib import Path

import potstill as ps
from potstill.ranges import Count, Index, NotNegative, Temperature
from potstill.recipes.learner import create_learner
from potstill.runs.recording import recipe
from potstill.runs.schema import Summary
from potstill.teacher import Teacher
from potstill.training import Training


@recipe
def boundary(
    *,
    student: str,
    teacher: Teacher,
    student_weights: Path | None = None,
    weight: NotNegative = 2.0,
    temperature: Temperature = 3.0,
    attack_size: Count = 32,
    attack_from: Index = 10,
    training: Training = Training(),
) -> Summary:
    """Train a student to imitate its teacher on images that an attack has moved to the teacher's decision boundary.

    Heo et al., "Knowledge distillation with adversarial samples supporting decision boundary", AAAI 2019:
    https://arxiv.org/abs/1805.05532, as the Knowledge-Distillation-Zoo has it: beside a cross-entropy of weight 1,
    nothing in the first epochs, then a weight on a line that falls from epoch 0 to 0 at 80 % of the run.

    Args:
        student: the network to train, for example resnet20.
        student_weights: weights to start the student from: a file, a run folder or pretrained; fresh ones by default.
        weight: of the attacked images, at the height the line has in epoch 0.
        temperature: of their probabilities.
        attack_size: how many images of a batch to attack at most.
        attack_from: the first epoch with any, counted from 0.
    """
    from potstill.losses.bss import BoundaryAttack

    data = training.load_data()
    networks = {
        "student": create_learner(student, data, training, weights=student_weights),
        **teacher.create(data),
    }
    falling = ps.schedules.from_epoch(ps.schedules.linear(weight, epochs=round(0.8 * training.epochs)), attack_from)
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
    return ps.fit(distiller, data, training)
