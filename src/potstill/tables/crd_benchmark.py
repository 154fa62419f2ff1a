"""The CIFAR-100 benchmark of CRD's authors, with what its successors report under the same protocol."""

from collections.abc import Sequence
from typing import Any

from potstill.tables import crd_later as later
from potstill.tables.crd_grafted import expanded, reused_classifier
from potstill.tables.published import Published, quoted
from potstill.tables.row import Budget, Row, Table

# What the networks are called in the published tables, where that is not their name here.
NETWORKS = {
    "MobileNetV2": "mobilenetv2x0.5",
    "ResNet50": "resnet50-cifar",
    "ShuffleNetV1": "shufflenetv1",
    "ShuffleNetV2": "shufflenetv2",
}
ALONE = (
    *("wrn-40-2", "wrn-16-2", "wrn-40-1", "resnet56", "resnet20", "resnet110", "resnet32", "resnet32x4", "resnet8x4"),
    *("vgg13", "vgg8", "ResNet50", "MobileNetV2", "ShuffleNetV1", "ShuffleNetV2"),
)
PAIRS = (  # teacher, student; the stages of the two correspond one to one
    *(("wrn-40-2", "wrn-16-2"), ("wrn-40-2", "wrn-40-1"), ("resnet56", "resnet20"), ("resnet110", "resnet20")),
    *(("resnet110", "resnet32"), ("resnet32x4", "resnet8x4"), ("vgg13", "vgg8"), ("vgg13", "MobileNetV2")),
    *(("ResNet50", "MobileNetV2"), ("ResNet50", "vgg8"), ("resnet32x4", "ShuffleNetV1")),
    *(("resnet32x4", "ShuffleNetV2"), ("wrn-40-2", "ShuffleNetV1")),
    # Those of later authors, whose stages differ in number or size: methods that pair them have none.
    *(("resnet32x4", "wrn-16-2"), ("resnet32x4", "wrn-40-2"), ("wrn-40-2", "resnet8x4")),
    *(("wrn-40-2", "MobileNetV2"), ("resnet32x4", "vgg8")),
)
SOURCES: dict[str, tuple[str, ...]] = {
    "KD": ("RepDist", later.STANDARDISED),
    **dict.fromkeys(("FitNet", "AT", "SP", "CC", "VID", "RKD", "PKT", "AB", "FT", "FSP", "NST", "CRD"), ("RepDist",)),
    "DKD": ("mdistiller", later.STANDARDISED),
    "ReviewKD": ("ReviewKD", "ITRD README"),
    "DIST": ("DIST_KD", "TTM README"),
    "KD+LS": (later.STANDARDISED,),
    **later.SOURCES,
}
FOUR_STAGES = ("vgg", "MobileNet", "ResNet50")
REVIEW_WEIGHTS = {"resnet20": 0.6, "resnet32": 1.0}


def _rows(budget: Budget) -> list[Row]:
    rows = []
    for network in ALONE:
        quotes = quoted("RepDistiller", "CIFAR100", "-", network, "Baseline")
        arguments, training = {"network": _spec(network)}, settings(budget, network)
        rows.append(Row(network, "supervised", arguments, training, published=quotes))
    for teacher, student in PAIRS:
        for method, sources in SOURCES.items():
            # Whoever comes later repeats the number of the one before.
            names = (method, *later.ALSO.get(method, ()))
            found = (quoted(source, "CIFAR100", teacher, student, name) for source in sources for name in names)
            if quotes := next(filter(None, found), ()):  # nobody tried the others, or could: FSP needs equal widths
                rows.append(_row(method, budget, teacher, student, quotes))
    return rows + [_row(method, budget, *later.USUAL, []) for method in later.OF_NOBODY]


def _row(method: str, budget: Budget, teacher: str, student: str, quotes: Sequence[Published]) -> Row:
    name = f"{teacher}-{student}-{method.lower().replace(' ', '-')}"
    training = settings(budget, student)
    if method.startswith("SimKD"):
        arguments = reused_classifier(method, _spec(student), teacher, student)
        frozen = {**training, "freeze": ("scion",)}
        return Row(name, "distill", arguments, frozen, teacher, published=quotes, baseline=student)
    recipe, arguments = _method(method, budget, teacher, student)
    both = {"student": _spec(student), **arguments}
    return Row(name, recipe, both, training, teacher, published=quotes, baseline=student)


def _method(method: str, budget: Budget, teacher: str, student: str) -> tuple[str, dict[str, Any]]:
    """Recipe and arguments of a method, but for the teacher, and the student if it is the plain one."""
    init = budget.lasting(30)
    if method == "FT":
        lr = 0.01 if student.startswith(("resnet", "wrn")) else settings(budget, student)["lr"]
        paraphraser = {"paraphraser_epochs": init, "paraphraser_lr": lr}
        return "factor-transfer", {
            "weight": 200.0,
            "factor": 0.5,
            "batch_norm": False,
            "channel_power": 2.0,
        } | paraphraser
    if method in ("AB", "FSP"):
        # RepDistiller's weights are never applied to its first stage, whose learning rate is the run's.
        first = _boundaries(student) if method == "AB" else (f"1 * FSP on stem, {', '.join(_stages(student))}",)
        stage = {"first": first, "first_epochs": init, "first_lr": settings(budget, student)["lr"]}
        return "two-stage", {**stage, "terms": ("1 * CE",)}
    if method == "FCFD":
        return "mixed-paths", {"ramp": budget.lasting(20)}
    if method == "KD++":
        return "class-means", {"weight": 2.0, "kd": 3.5, "ramp": budget.lasting(20)}
    if method.startswith("NORM"):
        return "distill", expanded(method, _spec(student), budget, teacher, student)
    return "distill", {"terms": terms(method, budget, teacher, student)}


def terms(method: str, budget: Budget, teacher: str, student: str) -> tuple[str, ...]:
    """The terms of a method that is nothing but a loss: cross-entropy and the loss, with the authors' weights."""
    last, warm = _stages(student)[-1], budget.lasting(20)
    found = {
        "KD": "0.9 * KD(temperature=4)",
        "KD+LS": "9 * KD(temperature=2, standardize=True)",
        "FitNet": "100 * FitNet(regressor=True) on stage2",
        "AT": "1000 * AT on stages",
        "SP": f"3000 * SP on {last}",
        "CC": "0.02 * CC(kernel='neighbours', width=128)",
        "VID": "1 * VID on stages",
        "RKD": "1 * RKD(distance=25, angle=50)",
        "PKT": "30000 * PKT",
        "NST": "50 * NST on stages",
        "CRD": "0.8 * CRD(width=128, negatives=16384, temperature=0.07, momentum=0.5)",
        "DKD": f"warmup(1, {warm}) * DKD(alpha=1, beta={_beta(teacher, student)}, temperature=4)",
        "ReviewKD": f"warmup({REVIEW_WEIGHTS.get(student, 5.0):g}, {warm}) * ReviewKD",
        "DIST": "1 * DIST(beta=2, gamma=2, temperature=4)",
    }
    if method not in found:
        return later.later_terms(method, budget, teacher, student)
    return "0.1 * CE" if method in ("KD", "KD+LS") else "1 * CE", found[method]


def _boundaries(student: str) -> tuple[str, ...]:
    """AB on every stage, each weighing twice as much as the one before: 0.003 on the last."""
    stages = _stages(student)
    weights = [0.003 * 2.0 ** (i + 1 - len(stages)) for i in range(len(stages))]
    pairs = zip(weights, stages, strict=True)
    return tuple(f"{weight:g} * AB(margin=1, reduction='batchmean') on {stage}:pre" for weight, stage in pairs)


def _beta(teacher: str, student: str) -> int:
    """DKD's beta for the pair, as in the configurations of its authors."""
    if teacher in ("resnet56", "resnet110"):
        return 2
    return 6 if teacher == "vgg13" or student.startswith("wrn") else 8


def _stages(network: str) -> tuple[str, ...]:
    return tuple(f"stage{i + 1}" for i in range(4 if network.startswith(FOUR_STAGES) else 3))


def _spec(network: str) -> str:
    return NETWORKS.get(network, network)


def settings(budget: Budget, network: str) -> dict[str, Any]:
    """The fields of `Training` for a run that trains ``network``."""
    return {
        "data": "cifar100",
        "normalize": "crd",
        "border": "zero",
        "epochs": budget.epochs,
        "batch_size": 64,
        "optimizer": "sgd",
        "lr": 0.01 if network.startswith(("MobileNet", "ShuffleNet")) else 0.05,
        "weight_decay": 5e-4,
        "milestones": budget.at(150, 180, 210),
        "decay": 0.1,
    }


crd_benchmark = Table(
    sentence="The CIFAR-100 benchmark of CRD: 18 pairs of networks, its 13 methods, and those since that report it.",
    source="RepDistiller README; for later methods their own authors', or those of NORM, SimKD, SDD and "
    "logit-standardization-KD",
    data="cifar100",
    protocol="SGD with momentum 0.9, lr 0.05 (0.01 for MobileNetV2 and ShuffleNets), x0.1 after epochs 150, 180, 210 "
    "of 240, weight decay 5e-4, batch 64, zero-padded crops, flips; RepDistiller reports the last epoch, mdistiller "
    "and logit-standardization-KD the best test epoch, and others do not say. All rows have this training and the one "
    "weight that a method's authors give: they tuned some for each pair, trained MLKD for up to 480 epochs, and "
    "the classifiers of rotations of SSKD's and HSAKD's teachers before, which learn alongside here",
    epochs=240,
    make=_rows,
)
