"""FCFD: student and teacher exchange their maps, and what becomes of these is to stay the same."""

from pathlib import Path

import potstill as ps
from potstill.errors import BadInput
from potstill.ranges import Count, NotNegative, Temperature
from potstill.recipes.factor_transfer import last_stage
from potstill.recipes.learner import create_learner
from potstill.runs.recording import recipe
from potstill.runs.schema import Summary
from potstill.teacher import Teacher
from potstill.training import Training


@recipe
def mixed_paths(
    *,
    student: str,
    teacher: Teacher,
    student_weights: Path | None = None,
    appearance: NotNegative = 5.0,
    paths: NotNegative = 2.0,
    temperature: Temperature = 4.0,
    ramp: Count = 20,
    training: Training = Training(),
) -> Summary:
    """Train a student whose maps the teacher's later stages can read, and which can read the teacher's: FCFD.

    Liu, Kan, Shan and Chen, "Function-consistent feature distillation", ICLR 2023:
    https://openreview.net/forum?id=pgHNOcxEdRI. After each stage but the last there are two mixed paths, to the other
    network's later stages over a bridge. Their code draws two paths a step; here all run, each with the part of weight
    that makes the same in the mean. Later stages of the student have batch statistics of their own in a mixed path, as
    there; the teacher's keep theirs, where their code lets them drift.

    Args:
        student: the network to train, for example resnet20: it must name as many stages as the teacher.
        student_weights: weights to start the student from: a file, a run folder or pretrained; fresh ones by default.
        appearance: weight of the difference of maps, beside cross-entropy and KD of weight 1 each.
        paths: weight of KD of all mixed paths together; 2 is that of two drawn ones.
        temperature: of KD.
        ramp: epochs over which the difference of maps gains its weight.
    """
    from potstill.data.seeds import BRIDGES, seed_of
    from potstill.networks.mixed_path import mixed_path, stage_maps

    data = training.load_data()
    networks = {
        "student": create_learner(student, data, training, weights=student_weights),
        **teacher.create(data),
    }
    stages = [int(last_stage(networks, name).removeprefix("stage")) for name in ("student", "teacher")]
    if stages[0] != stages[1] or stages[0] < 2:
        raise BadInput(
            f"mixed paths need two stages or more, as many in both networks, not {stages[0]} and {stages[1]}"
        )
    count, images = stages[0], data.example()["images"][:2]
    inputs: dict[str, str] = {}
    maps = {name: stage_maps(networks[name], name, count, images) for name in ("student", "teacher")}
    for stage in range(1, count):
        for source, target in (("student", "teacher"), ("teacher", "student")):
            path, seed = f"to_{target}{stage}", seed_of(training.seed, BRIDGES, stage, len(inputs))
            given, wanted = maps[source][stage - 1], maps[target][stage - 1]
            networks[path] = mixed_path(networks[target], stage, given, wanted, seed)
            inputs[path] = f"{source}.stage{stage}:pre"
    terms = _terms(count, paths, ps.losses.KD(temperature), ps.schedules.warmup(appearance, ramp))
    distiller = ps.Distiller(networks, terms, data.example(), training.seed, inputs=inputs, classifiers=[*maps])
    return ps.fit(distiller, data, training)


def _terms(stages: int, paths: float, kd: "ps.losses.KD", growing: "ps.schedules.Schedule") -> "list[ps.Term]":
    """Cross-entropy, KD of the student and of the mixed paths, and the difference of maps, which gains its weight."""
    alike, each = ps.losses.FitNet(regressor=False), paths / (2 * (stages - 1))
    terms = [
        ps.Term(ps.losses.CE(), "student", "labels"),
        ps.Term(kd, "student", "teacher"),
        ps.Term(ps.losses.FCFD(), (f"student.stage{stages}:pre",), (f"teacher.stage{stages}:pre",), weight=growing),
    ]
    for stage in range(1, stages):
        later = [f"stage{place}:pre" for place in range(stage + 1, stages + 1)]
        ours, theirs = (tuple(f"{name}.{place}" for place in later) for name in (f"to_teacher{stage}", "teacher"))
        terms += [
            ps.Term(kd, f"to_teacher{stage}", "teacher", weight=each),
            ps.Term(kd, f"to_student{stage}", "teacher", weight=each),
            ps.Term(alike, f"to_teacher{stage}.bridge", f"teacher.stage{stage}:pre", weight=growing),
            ps.Term(ps.losses.FCFD(bridges=False), ours, theirs, weight=growing).scaled(each),
        ]
    return terms
