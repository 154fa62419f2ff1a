"""The results of the Knowledge-Distillation-Zoo: its methods on CIFAR-10 and CIFAR-100, three pairs of networks."""

from typing import Any

from potstill.tables.published import quoted
from potstill.tables.row import Budget, Row, Table

SOURCE = "Knowledge-Distillation-Zoo README"
DATASETS = ("cifar10", "cifar100")
PAIRS = (("resnet20", "resnet20"), ("resnet110", "resnet20"), ("resnet110", "resnet110"))  # teacher, student

# Beside a cross-entropy of weight 1. What the Zoo averages over three stages, or three steps between them, has a third
# of its weight here on each. Its lambda is the weight; maps, powers and guards against 0 are those of its code.
DISTILL = {
    "Logits": "0.1 * Logits",
    "ST": "0.1 * KD(temperature=4)",
    "AT": f"{1000 / 3:.6g} * AT(channels='sum', eps=1e-6, eps_placement='add') on stages",
    "Fitnet": "0.1 * FitNet(regressor=False) on stage3",
    "NST": "10 * NST on stage3",
    "PKT": "10000 * PKT(eps=1e-6)",
    "RKD": "1 * RKD(distance=25, angle=50)",
    "SP": f"{3000 / 3:.6g} * SP on stages",
    "Sobolev": "20 * Sobolev",
    "CC": "100 * CC(gamma=0.4, order=2)",
    "LwM": "0.4 * LwM(weighted='gradient') on stage2",
    "IRG": "1 * IRG(vertex=0.1, edge=5, transformation=5)",
    "VID": f"{1 / 3:.6g} * VID(variance=5, eps=1e-6) on stages",
    "OFD": f"{0.5 / 3:.6g} * OFD on stages",
    "AFD": f"{500 / 3:.6g} * AFD on stages",
}
CRD_WEIGHT = {"cifar10": 0.2, "cifar100": 0.8}
FIRST_STAGE = {
    "FSP": f"{1 / 3:.6g} * FSP on stem, stage1, stage2, stage3",
    "AB": f"{10 / 3:.6g} * AB(margin=2) on stages",
}


def methods(budget: Budget, data: str) -> dict[str, tuple[str, dict[str, Any]]]:
    """Recipe and arguments of each method, but for the networks."""
    found: dict[str, tuple[str, dict[str, Any]]] = {
        method: ("distill", {"terms": ("1 * CE", term)}) for method, term in DISTILL.items()
    }
    crd = f"{CRD_WEIGHT[data]} * CRD(temperature=0.1, negatives=16384, momentum=0.5)"
    found["CRD"] = "distill", {"terms": ("1 * CE", crd)}
    for method, term in FIRST_STAGE.items():
        stage = {"first": (term,), "first_epochs": budget.lasting(50), "first_lr": 0.01}
        stage |= {"first_milestones": budget.at(30, 40), "terms": ("1 * CE",)}
        found[method] = "two-stage", stage
    paraphraser = {"paraphraser_epochs": budget.lasting(30), "paraphraser_lr": 0.01}
    norm = {"batch_norm": data == "cifar10"}  # only there, says its code
    found["FT"] = "factor-transfer", {"weight": 200.0, "factor": 0.5, **norm, **paraphraser}
    found["BSS"] = "boundary", {"weight": 2.0, "temperature": 3.0, "attack_size": 32, "attack_from": budget.lasting(10)}
    return found


def _rows(budget: Budget) -> list[Row]:
    rows = []
    for data in DATASETS:
        training = settings(budget, data)
        for network in ("resnet20", "resnet110"):
            quote = quoted(SOURCE, data.upper(), "-", network, "Baseline")
            rows.append(Row(f"{data}-{network}", "supervised", {"network": network}, training, published=quote))
        for teacher, student in PAIRS:
            for method, (recipe, arguments) in methods(budget, data).items():
                name = f"{data}-{teacher}-{student}-{method.lower()}"
                quote = quoted(SOURCE, data.upper(), teacher, student, method)
                both = {"student": student, **arguments}
                alone = f"{data}-{student}"
                rows.append(Row(name, recipe, both, training, f"{data}-{teacher}", published=quote, baseline=alone))
            rows += _mutual(data, teacher, student, training)
    return rows


def _mutual(data: str, teacher: str, student: str, training: dict[str, Any]) -> list[Row]:
    """Two peers without a teacher; the Zoo reports the better one of the two, whichever that is.

    The better one has no baseline: it would be ahead of a network alone even if neither helped the other.
    """
    name = f"{data}-{teacher}-{student}-dml"
    arguments = {"networks": (student, teacher), "alternate": False, "weight": 1.0, "temperature": 1.0}
    quote = quoted(SOURCE, data.upper(), teacher, student, "DML")
    rows = [Row(name, "mutual", arguments, training, learners=("a", "b"), published=quote)]
    if teacher != student:
        own: dict[str, Any] = {"learners": ("a",), "runs_of": name, "baseline": f"{data}-{student}"}
        rows.append(Row(f"{name}-{student}", "mutual", arguments, training, **own))
    return rows


def settings(budget: Budget, data: str) -> dict[str, Any]:
    """The fields of `Training` that all of the Zoo's runs have."""
    return {
        "data": data,
        "border": "reflect",
        "epochs": budget.epochs,
        "batch_size": 128,
        "optimizer": "nesterov",
        "lr": 0.1,
        "weight_decay": 1e-4,
        "milestones": budget.at(100, 150),
        "decay": 0.1,
    }


kd_zoo = Table(
    sentence="The Knowledge-Distillation-Zoo's methods on CIFAR-10 and CIFAR-100 with resnet20 and resnet110.",
    source=SOURCE,
    data="cifar10, cifar100",
    protocol="SGD with Nesterov momentum 0.9, lr 0.1, x0.1 after epochs 100 and 150 of 200, weight decay 1e-4, batch "
    "128, crops of reflected images, flips; teachers are the baselines after their last epoch (the Zoo's after their "
    "best); the Zoo reports the best test epoch of 1 run, of DML's two networks the better one",
    epochs=200,
    make=_rows,
)
