"""Factor transfer: a paraphraser of the teacher's map, trained first, and a student that learns its factors."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import potstill as ps
from potstill.errors import BadInput
from potstill.ranges import Count, Multiple, NotNegative, Positive, Power
from potstill.recipes.learner import create_learner
from potstill.recipes.stages import earlier_stage
from potstill.runs.recording import recipe
from potstill.runs.schema import Summary
from potstill.teacher import Teacher
from potstill.training import Training

if TYPE_CHECKING:
    from torch import nn


@recipe
def factor_transfer(
    *,
    student: str,
    teacher: Teacher,
    student_weights: Path | None = None,
    on: str | None = None,
    weight: NotNegative = 200.0,
    factor: Multiple = 0.5,
    batch_norm: bool = True,
    channel_power: Power | None = None,
    paraphraser_epochs: Count = 30,
    paraphraser_lr: Positive | None = None,
    training: Training = Training(),
) -> Summary:
    """Train a paraphraser of the teacher's last map without labels, then a student that learns its factors.

    Kim, Park and Kwak, "Paraphrasing complex network: network compression via factor transfer", NeurIPS 2018:
    https://arxiv.org/abs/1802.04977. The first stage lies in the folder "paraphraser" of the run's.

    Args:
        student: the network to train, for example resnet20.
        student_weights: weights to start the student from: a file, a run folder or pretrained; fresh ones by default.
        on: which maps: a tap of both, or student_tap=teacher_tap; by default each network's last stage.
        weight: of the factors' distance, beside a cross-entropy of weight 1.
        factor: channels of a factor, as a fraction of the teacher's.
        batch_norm: whether paraphraser and translator have any.
        channel_power: compare mean over channels of |f|^channel_power instead of f, as RepDistiller does with 2.
        paraphraser_epochs: length of the first stage, before the run's epochs.
        paraphraser_lr: its learning rate, which stays; by default a tenth of the run's.
    """
    from potstill.losses.ft import Paraphraser

    data = training.load_data()
    networks = {
        "student": create_learner(student, data, training, weights=student_weights),
        **teacher.create(data),
    }
    maps = places(networks, on)

    paraphraser = Paraphraser(factor, batch_norm)
    terms = [ps.Term(paraphraser, f"teacher.{maps['teacher']}")]
    first, earlier, training = earlier_stage("paraphraser", training, paraphraser_epochs, paraphraser_lr)
    alone = {"teacher": networks["teacher"]}
    distiller = ps.Distiller(alone, terms, example=data.example(), seed=training.seed, classifiers=[*alone])
    ps.fit(distiller, data, earlier, first)

    transfer = ps.losses.FT(paraphraser, batch_norm=batch_norm, channel_power=channel_power)
    terms = [
        ps.Term(ps.losses.CE(), "student", "labels"),
        ps.Term(transfer, f"student.{maps['student']}", f"teacher.{maps['teacher']}", weight=weight),
    ]
    distiller = ps.Distiller(networks, terms, example=data.example(), seed=training.seed, classifiers=[*networks])
    return ps.fit(distiller, data, training)


def places(networks: "dict[str, nn.Module]", on: str | None) -> dict[str, str]:
    """The place in student and teacher that ``on`` names; by default each network's last stage.

    Raises:
        BadInput: there is no such place in the student: that should not wait for the paraphraser.
    """
    from potstill.taps import find

    left, _, right = (on or "").partition("=")
    maps = {"student": left or last_stage(networks, "student"), "teacher": right or left}
    maps["teacher"] = maps["teacher"] or last_stage(networks, "teacher")
    find(networks["student"], "student", maps["student"])
    return maps


def last_stage(networks: "dict[str, nn.Module]", name: str) -> str:
    """The alias of a network's last stage.

    Raises:
        BadInput: it names none.
    """
    aliases: dict[str, str] = getattr(networks[name], "aliases", {})
    stages = [alias for alias in aliases if re.fullmatch(r"stage\d+", alias)]
    if not stages:
        raise BadInput(f"{name} has no stages to tap; name its layer: --on layer3=blocks.8, the student's first")
    return max(stages, key=lambda stage: int(stage.removeprefix("stage")))
