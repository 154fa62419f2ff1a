"""Training in two stages: the inside of the student first, then the classifier."""

from pathlib import Path

import potstill as ps
from potstill import term_strings
from potstill.ranges import Count, Index, Positive
from potstill.recipes.learner import create_learner
from potstill.recipes.stages import earlier_stage
from potstill.runs.recording import recipe
from potstill.runs.schema import Summary
from potstill.teacher import Teacher
from potstill.training import Training


@recipe
def two_stage(
    *,
    student: str,
    teacher: Teacher,
    student_weights: Path | None = None,
    first: tuple[str, ...] = ("10 * AB",),
    first_epochs: Count = 50,
    first_lr: Positive | None = None,
    first_milestones: tuple[Index, ...] = (),
    terms: tuple[str, ...] = ("CE",),
    training: Training = Training(),
) -> Summary:
    """Train a student's inside by hints first, then the whole by other terms: FitNets, AB, FSP.

    Romero et al., "FitNets", ICLR 2015, section 2.3: https://arxiv.org/abs/1412.6550; Heo et al., "Knowledge transfer
    via distillation of activation boundaries", AAAI 2019: https://arxiv.org/abs/1811.03233; Yim et al., "A gift from
    knowledge distillation", CVPR 2017. The first stage lies in the folder "hint" of the run's. What no hint reaches
    gets no gradient there and stays as it is; the second stage starts with a fresh optimiser.

    Args:
        student: the network to train, for example resnet20.
        student_weights: weights to start the student from: a file, a run folder or pretrained; fresh ones by default.
        first: what to minimise in the first stage, strings as in distill: "10 * AB", "FitNet on stage2", "FSP".
        first_epochs: length of the first stage, before the run's epochs.
        first_lr: learning rate of the first stage; by default a tenth of the run's.
        first_milestones: its epochs at whose start that drops; by default it stays.
        terms: what to minimise in the second stage.
    """
    data = training.load_data()
    networks = {
        "student": create_learner(student, data, training, weights=student_weights),
        **teacher.create(data),
    }
    # Both before either trains: a mistake in the second should not wait for the first.
    example = data.example()
    parsed = [term_strings.terms(strings, networks, example) for strings in (first, terms)]
    inside, whole = (
        ps.Distiller(networks, found, example=example, seed=training.seed, classifiers=[*networks]) for found in parsed
    )
    hint, earlier, training = earlier_stage("hint", training, first_epochs, first_lr, first_milestones)
    ps.fit(inside, data, earlier, hint)
    return ps.fit(whole, data, training)
