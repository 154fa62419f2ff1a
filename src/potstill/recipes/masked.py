"""MasKD: masks of the teacher's map, learned first, and a student that copies the map region by region."""

from pathlib import Path

import potstill as ps
from potstill.ranges import Count, NotNegative, Positive, Width
from potstill.recipes.factor_transfer import places
from potstill.recipes.learner import create_learner
from potstill.recipes.stages import earlier_stage
from potstill.runs.recording import recipe
from potstill.runs.schema import Summary
from potstill.teacher import Teacher
from potstill.training import Training


@recipe
def masked(
    *,
    student: str,
    teacher: Teacher,
    student_weights: Path | None = None,
    on: str | None = None,
    weight: NotNegative = 1.0,
    tokens: Width = 6,
    weighted: bool = True,
    student_masks: bool = False,
    mask_epochs: Count = 10,
    mask_lr: Positive | None = None,
    training: Training = Training(),
) -> Summary:
    """Train masks on the teacher's last map by its own task, then a student that copies the map region by region.

    Huang et al., "Masked distillation with receptive tokens", ICLR 2023: https://arxiv.org/abs/2205.14589. The first
    stage lies in the folder "masks" of the run's. The authors publish it for detection and segmentation: weight and
    epochs are not published for classifiers; these are ours.

    Args:
        student: the network to train, for example resnet20.
        student_weights: weights to start the student from: a file, a run folder or pretrained; fresh ones by default.
        on: which maps: a tap of both, or student_tap=teacher_tap; by default each network's last stage.
        weight: of the masked difference, beside cross-entropy and KD(temperature=4) of weight 1 each.
        tokens: how many masks.
        weighted: whether the masks of an image are weighed.
        student_masks: whether they are multiplied by those on the student's map.
        mask_epochs: length of the first stage, before the run's epochs.
        mask_lr: its learning rate, which stays; by default a tenth of the run's.
    """
    from potstill.losses.maskd import MaskLearning, Masks
    from potstill.networks.graft import upper_part

    data = training.load_data()
    networks = {
        "student": create_learner(student, data, training, weights=student_weights),
        **teacher.create(data),
    }
    maps, alone = places(networks, on), {"teacher": networks["teacher"]}
    masks, above = Masks(tokens, weighted), f"teacher.{maps['teacher']}"
    terms = [ps.Term(MaskLearning(masks, upper_part(alone["teacher"], maps["teacher"])), above, "labels")]
    first, earlier, training = earlier_stage("masks", training, mask_epochs, mask_lr)
    distiller = ps.Distiller(alone, terms, example=data.example(), seed=training.seed, classifiers=[*alone])
    ps.fit(distiller, data, earlier, first)

    below, copied = f"student.{maps['student']}", ps.losses.MasKD(masks, student_masks=student_masks)
    terms = [
        ps.Term(ps.losses.CE(), "student", "labels"),
        ps.Term(ps.losses.KD(temperature=4), "student", "teacher"),
        ps.Term(copied, below, above, weight=weight),
    ]
    distiller = ps.Distiller(networks, terms, example=data.example(), seed=training.seed, classifiers=[*networks])
    return ps.fit(distiller, data, training)
