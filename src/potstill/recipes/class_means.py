"""KD++: the teacher's mean feature of each class first, and a student whose features turn and grow towards it."""

from dataclasses import replace
from pathlib import Path

import potstill as ps
from potstill.ranges import Count, NotNegative, Temperature
from potstill.recipes.learner import create_learner
from potstill.recipes.stages import run_folder
from potstill.runs.recording import recipe
from potstill.runs.schema import Summary
from potstill.teacher import Teacher
from potstill.training import Training

STAGE = "means"


@recipe
def class_means(
    *,
    student: str,
    teacher: Teacher,
    student_weights: Path | None = None,
    on: str = "pooled",
    weight: NotNegative = 2.0,
    kd: NotNegative = 1.0,
    temperature: Temperature = 4.0,
    ramp: Count = 20,
    training: Training = Training(),
) -> Summary:
    """Take the teacher's mean feature of each class, then train a student whose features are pulled towards it: KD++.

    Wang et al., "Improving knowledge distillation via regularizing feature direction and norm", ECCV 2024:
    https://arxiv.org/abs/2305.17007. The means are over all training images, not augmented, and lie in the folder
    "means" of the run's. Weights are those of the authors' code for resnet56 and resnet20 on CIFAR-100; KD is left out
    of the first epoch, as there. There the means are rounded to four decimals; here they are not.

    Args:
        student: the network to train, for example resnet20.
        student_weights: weights to start the student from: a file, a run folder or pretrained; fresh ones by default.
        on: which features: a tap of both, or student_tap=teacher_tap.
        weight: of direction and norm (ND), beside a cross-entropy of weight 1.
        kd: weight of KD, once it has all of it.
        temperature: of KD.
        ramp: epochs over which KD gains its weight, from 0.
    """
    from potstill.device import find_device
    from potstill.engine.class_means import class_means as means_of
    from potstill.engine.class_means import kept_class_means
    from potstill.engine.only_checked import only_checked

    data, out = training.load_data(), run_folder(training)
    networks = {
        "student": create_learner(student, data, training, weights=student_weights),
        **teacher.create(data),
    }
    frozen, (ours, _, theirs) = networks["teacher"], on.partition("=")
    # What is wrong with terms and networks is found with the means of one batch, before all images are run.
    means, _ = means_of(frozen, theirs or ours, [data.example()], len(data.classes))
    pulled = ps.losses.ND(means)
    terms = [
        ps.Term(ps.losses.CE(), "student", "labels"),
        ps.Term(ps.losses.KD(temperature), "student", "teacher", weight=ps.schedules.warmup(kd, ramp, from_zero=True)),
        ps.Term(pulled, f"student.{ours}", f"teacher.{theirs or ours}", "labels", weight=weight),
    ]
    distiller = ps.Distiller(networks, terms, example=data.example(), seed=training.seed, classifiers=[*networks])
    if not only_checked():
        frozen.to(find_device(training.device))
        kept = kept_class_means(out, STAGE, frozen, theirs or ours, data)
        pulled.load_state_dict({**pulled.state_dict(), "centers": kept})
    return ps.fit(distiller, data, replace(training, out=out))
