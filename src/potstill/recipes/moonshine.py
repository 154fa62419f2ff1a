"""Moonshine: a student made of its teacher by swapping convolutions for cheap ones."""

from dataclasses import asdict
from typing import Any, Literal

import potstill as ps
from potstill import term_strings
from potstill.errors import BadInput
from potstill.ranges import Count, Fraction, NotNegative, Share, Temperature
from potstill.recipes.learner import create_learner
from potstill.runs.recording import recipe
from potstill.runs.schema import Summary
from potstill.teacher import Teacher
from potstill.training import Training


@recipe
def moonshine(
    *,
    teacher: Teacher,
    conv: str | None = None,
    budget_params: Share | None = None,
    budget_macs: Share | None = None,
    student: str | None = None,
    alpha: Fraction = 0.0,
    beta: NotNegative = 1000.0,
    temperature: Temperature = 4.0,
    split: Count = 1,
    keep_weights: Literal["1x1"] | None = None,
    training: Training = Training(optimizer="sgd"),
) -> Summary | dict[str, Any]:
    """Train a copy of the teacher with cheap convolutions, by attention transfer and KD.

        L = (1 - alpha) CE + 2 alpha T^2 mean of KL + beta * sum over stages of AT

    Crowley, Gray and Storkey, "Moonshine: distilling with cheap convolutions", NeurIPS 2018:
    https://arxiv.org/abs/1711.02613. As in the authors' code, the mean is over batch and classes, and beta belongs to
    three stages: with n of them, each has 3 beta / n. The student starts afresh.

    With a budget in the place of conv, nothing is trained, and neither weights nor data are needed: it lists the
    convolutions that make a student within the budget, the cheapest first.

    Args:
        conv: the student's convolutions, for example G8B2; see potstill describe NETWORK --conv.
        budget_params: list what has at most this fraction of the teacher's parameters, for example 0.25.
        budget_macs: list what has at most this fraction of the teacher's multiply-adds; with both, what keeps both.
        student: another network to put the convolutions into; by default the teacher's own architecture.
        alpha: weight of KD, which takes as much from that of cross-entropy.
        beta: weight of attention transfer.
        temperature: of KD.
        split: parts of as many blocks that every stage of both networks has, each with a map of its own.
        keep_weights: 1x1 starts what the student has in common with the teacher from its weights: 1x1 convolutions,
            batch norms and the classifier, and the stem.
    """
    if budget_params is not None or budget_macs is not None:
        if conv is not None:
            raise BadInput(f"--conv {conv} trains a student, a budget lists those that fit: give one of them")
        return list_within_budget(teacher.teacher, student, training, budget_params, budget_macs)
    if conv is None:
        hint = "list what fits: --budget-params 0.25, --budget-macs 0.25"
        raise BadInput(f"give --conv SPEC, for example G8B2, or {hint}")
    data = training.load_data()
    frozen = teacher.create(data)["teacher"]
    base = student or str(frozen.spec)
    spec = base if conv == "Conv" else f"{base}+{conv}"  # Conv: nothing is cheaper than in the teacher
    networks = {"student": create_learner(spec, data, training), "teacher": frozen}
    if keep_weights == "1x1":
        ps.networks.keep_weights(networks["student"], frozen)
    if split != 1:
        networks = {name: ps.networks.split_stages(network, split) for name, network in networks.items()}
    attention = term_strings.terms(["AT on stages"], networks, data.example())
    terms = [
        ps.Term(ps.losses.CE(), "student", "labels", weight=1 - alpha),
        ps.Term(ps.losses.KD(temperature, reduction="elementmean"), "student", "teacher", weight=2 * alpha),
        *(term.scaled(3 * beta / len(attention)) for term in attention),
    ]
    distiller = ps.Distiller(networks, terms, example=data.example(), seed=training.seed, classifiers=[*networks])
    return ps.fit(distiller, data, training)


def list_within_budget(
    teacher: str, student: str | None, training: Training, budget_params: float | None, budget_macs: float | None
) -> dict[str, Any]:
    """The convolutions within the budgets, for classes and images like those of a data set, which is not read."""
    import torch

    torch.set_num_threads(1)  # to count is to run one image at a time, which keeps no second one busy
    classes, shape = ps.data.outline(training)
    whole = ps.networks.create(teacher, len(classes))
    into = ps.networks.create(student, len(classes)) if student else None
    found = ps.networks.within_budget(
        whole, budget_params=budget_params, budget_macs=budget_macs, into=into, input_shape=shape
    )
    costs = {"parameters": ps.networks.parameters(whole), "macs": ps.networks.macs(whole, shape)}
    return {"teacher": teacher, **costs, "table": [asdict(fit) for fit in found]}
