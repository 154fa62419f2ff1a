"""Channel distillation: channels, guided KD, and a teacher whose influence decays."""

from pathlib import Path

import potstill as ps
from potstill import term_strings
from potstill.ranges import Index, NotNegative, Temperature
from potstill.recipes.learner import create_learner
from potstill.runs.recording import recipe
from potstill.runs.schema import Summary
from potstill.teacher import Teachers
from potstill.training import Training

FACTOR = 0.9


@recipe
def channel(
    *,
    student: str,
    teacher: Teachers,
    student_weights: Path | None = None,
    guided: bool = True,
    early_decay: bool = True,
    channel_weight: NotNegative = 6.0,
    kd_weight: NotNegative = 0.1,
    temperature: Temperature = 1.0,
    decay_at: tuple[Index, ...] = (),
    training: Training = Training(optimizer="sgd"),
) -> Summary:
    """Train a student on its teacher's channels, on what the teacher gets right, and, later, on the labels.

    Zhou, Zhuge, Guan and Liu, "Channel distillation: channel-wise attention for knowledge distillation", 2020:
    https://arxiv.org/abs/2006.01683. The teacher stays in eval mode, which the authors' does not.

    Args:
        student: the network to train, for example resnet50-cifar.
        student_weights: weights to start the student from: a file, a run folder or pretrained; fresh ones by default.
        guided: add guided KD: KD on the images that the teacher gets right.
        early_decay: the weight of the channels falls by a tenth at each of --decay-at; cross-entropy and KD start at
            the first of them. So the authors' code has it.
        channel_weight: of each stage's channels.
        kd_weight: of guided KD; the authors have 0.1 on CIFAR-100 and 1 on ImageNet.
        temperature: of guided KD.
        decay_at: epochs, counted from 0; by default 30 and 80 % of the run.
    """
    data = training.load_data()
    networks = {
        "student": create_learner(student, data, training, weights=student_weights),
        **teacher.create(data),
    }
    at = list(decay_at) or [max(1, round(part * training.epochs)) for part in (0.3, 0.8)]
    if early_decay:
        channels, labels = f"milestones({channel_weight}, {at}, {FACTOR})", "from_epoch({}, " + f"{at[0]})"
    else:
        channels, labels = f"{channel_weight}", "{}"
    terms = [f"{labels.format(1.0)} * CE", f"{channels} * CD(connector=True) on stages"]
    if guided:
        terms.append(f"{labels.format(kd_weight)} * KD(temperature={temperature}, guided=True)")
    example = data.example()
    parsed = term_strings.terms(terms, networks, example)
    distiller = ps.Distiller(networks, parsed, example=example, seed=training.seed, classifiers=[*networks])
    return ps.fit(distiller, data, training)
