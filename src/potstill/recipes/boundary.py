"""Distillation on boundary supporting samples: images moved to where the teacher is in two minds."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import potstill as ps
from potstill.recipes.learner import create_learner
from potstill.runs.recording import recipe
from potstill.teacher import Teacher
from potstill.training import Training

if TYPE_CHECKING:
    from torch import Tensor, nn


@recipe
def boundary(
    *,
    student: str,
    teacher: Teacher,
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
        student_weights: weights to start the student from: a file, a run folder or pretrained; fresh ones by default.
        weight: of the attacked images, at the height the line has in epoch 0.
        temperature: of their probabilities.
        attack_size: how many images of a batch to attack at most.
        warmup: epochs without any.
    """
    data = training.load_data()
    networks = {
        "student": create_learner(student, data, seed=training.seed, weights=student_weights),
        **teacher.create(data),
    }
    falling = ps.schedules.from_epoch(ps.schedules.linear(weight, epochs=round(0.8 * training.epochs)), warmup)
    attack = boundary_loss(networks["student"], networks["teacher"], temperature, attack_size)
    terms = [
        ps.Term(ps.losses.CE(), "student", "labels"),
        ps.Term(attack, "student", "teacher", "images", "labels", weight=falling, name="BSS student"),
    ]
    distiller = ps.Distiller(networks, terms, example=data.example(), seed=training.seed)
    return ps.fit(distiller, data, training)


def boundary_loss(
    student: "nn.Module", teacher: "nn.Module", temperature: float, most: int
) -> "Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]":
    """A loss of the logits (N, K) on plain images, the images and labels: attacks some, and gives BSS on those.

    It runs both networks a second time, on at most ``most`` images. 0 if no image qualifies.
    """
    import torch

    from potstill.losses.bss import BSS, attack_classes, base_samples, boundary_attack

    bss = BSS(temperature)

    def loss(ours: "Tensor", theirs: "Tensor", images: "Tensor", labels: "Tensor") -> "Tensor":
        chosen = base_samples(ours, theirs, labels, most)
        if len(chosen) == 0:
            return ours.new_zeros(())
        uniform = torch.rand(len(chosen), device=ours.device)
        targets = attack_classes(theirs[chosen], uniform)
        attacked = boundary_attack(teacher, images[chosen], labels[chosen], targets)
        with torch.no_grad():
            answer = teacher(attacked)
        value: Tensor = bss(student(attacked), answer)
        return value

    return loss
