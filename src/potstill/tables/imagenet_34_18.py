"""ResNet-34 to ResNet-18 on ImageNet: every method with a published number for that pair.

KD and DKD have the settings of mdistiller's configurations for this pair, SimKD and NORM those of their authors'
scripts. WTTM's are not published for ImageNet; ours are those of CIFAR-100.
"""

from typing import Any

from potstill.tables.channel_imagenet import settings
from potstill.tables.published import Published, quoted
from potstill.tables.row import Budget, Row, Table

PAIR = ("ResNet34", "ResNet18")
AUTHORS = "channel-distillation README"
NORM = "NORM README"
LOG = "torchdistill official log"
SOURCES: dict[str, tuple[str, ...]] = {
    "KD": ("mdistiller README", "DIST_KD README", LOG, "CTKD README"),
    "KD+DOT": ("mdistiller README",),
    "FitNet": (AUTHORS,),
    "AT": (AUTHORS,),
    "FT": (LOG,),
    "RKD": (AUTHORS,),
    "OFD": (NORM,),
    "CRD": (LOG,),
    "PAD-L2": (LOG,),
    "SSKD": (NORM, LOG),
    "SemCKD": (NORM,),
    "SimKD": (NORM,),
    "ReviewKD": (NORM,),
    "SRRL": (NORM,),
    "NORM": (NORM,),
    "WSLD": ("WSLD README",),
    "ICKD-C": ("ICKD README",),
    "DKD": ("CTKD README",),
    "MGD": ("MGD README",),
    "DIST": ("DIST_KD README",),
    "CTKD": ("CTKD README", "TTM README"),
    "DKD+CTKD": ("CTKD README",),
    "NKD": ("cls_KD nkd.md",),
    "DiffKD": ("DiffKD README",),
    "WTTM": ("TTM README",),
    "SRD": (LOG,),
    "WKD-L": ("WKD README",),
    "WKD-F": ("WKD README",),
    "WKD-L+WKD-F": ("WKD README",),
}
WITH: dict[str, dict[str, Any]] = {"KD+DOT": {"optimizer": "dot"}, "SimKD": {"freeze": ("scion",)}}
"""Fields of `Training` in which a method consists."""
STUDENTS = {"SimKD": "resnet18^2^{teacher}@stage4", "NORM": "resnet18^8x512^resnet18@stage4"}
"""Those that a method puts something in: its teacher's classifier, an expansion."""


def terms(budget: Budget) -> dict[str, tuple[str, ...]]:
    """The terms of each method that is nothing but losses, beside cross-entropy of weight 1 unless they say else."""
    warm, fall = budget.lasting(20), f"late_cosine({{}}, 0, {budget.epochs})"
    distance = "WKDL(alpha=0, beta=1)"
    means = f"{fall.format(0.08)} * WKDF(bottleneck=256) on stage4"
    moves, expanded = ", ".join(map(str, budget.at(5, 15, 60, 80))), "bridge.expand=stage4"
    found = {
        "FitNet": ("100 * FitNet(regressor=True) on stage2",),
        "AT": ("1000 * AT on stages",),
        "RKD": ("1 * RKD(distance=25, angle=50)",),
        "OFD": ("0.17 * OFD on stages",),
        "CRD": ("0.8 * CRD(width=128, negatives=16384, temperature=0.07, momentum=0.5)",),
        "PAD-L2": ("1 * PAD",),
        "SemCKD": ("1 * KD(temperature=4)", "50 * SemCKD(batch=256) on stage2, stage3, stage4"),
        "ReviewKD": (f"warmup(1, {warm}) * ReviewKD",),
        "SRRL": ("1 * SRRL",),
        "WSLD": ("2.5 * WSLD(temperature=2)",),
        "ICKD-C": ("2.5 * ICKD(kernel=3, reduction='batchmean / batch') on stage4",),
        "DKD": ("1 * DKD(alpha=1, beta=0.5, temperature=1)",),
        "MGD": ("7e-5 * MGD on stage4",),
        "DIST": ("1 * DIST(beta=1, gamma=1, temperature=1)",),
        "CTKD": ("1 * CTKD(epochs=5)",),
        "DKD+CTKD": ("1 * CTKD(epochs=5, decoupled=True, alpha=1, beta=0.5)",),
        "NKD": ("1 * NKD(gamma=1.5, temperature=1)",),
        "DiffKD": ("1 * DiffKD on stage4",),
        "WTTM": ("4 * TTM(gamma=0.2, weighted=True)",),
        "SRD": ("1 * SRD",),
        "WKD-L": ("1 * WKDL(beta=0)", f"{fall.format(600)} * {distance}"),
        "WKD-F": (means,),
        "WKD-L+WKD-F": ("1 * WKDL(beta=0)", f"{fall.format(200)} * {distance}", means),
    }
    half = ("0.5 * CE", "0.5 * KD(temperature=1)")
    return {method: ("1 * CE", *losses) for method, losses in found.items()} | {
        "KD": half,
        "KD+DOT": half,
        "SSKD": ("1 * SSKD",),
        "SimKD": ("1 * SimKD(transfer=False) on bridge=stage4",),
        "NORM": ("1 * NORMLogits(ce=1, kd=0)", f"steps([0.1, 0.5, 0.9, 0.5, 0.1], [{moves}]) * NORM on {expanded}"),
    }


def _rows(budget: Budget) -> list[Row]:
    training = settings(budget)
    rows = [
        _alone("teacher", "resnet34", training, quoted(AUTHORS, "ImageNet", "-", "ResNet34", "Baseline")),
        _alone("student", "resnet18", training, _first("Baseline", "-", ("cls_KD nkd.md",))),
    ]
    uskd = ("1 * CE", "1 * USKD(alpha=1, beta=0.1, mu=0.005) on student.stage3, student")
    quotes = _first("USKD", "-", ("cls_KD nkd.md",))
    alone = {"network": "resnet18", "terms": uskd}
    rows.append(Row("uskd", "supervised", alone, training, published=quotes, baseline="student"))
    losses = terms(budget)
    for method, sources in SOURCES.items():
        name, quotes = method.lower().replace("+", "-"), _first(method, PAIR[0], sources)
        recipe, own = ("factor-transfer", {}) if method == "FT" else ("distill", {"terms": losses[method]})
        given = {**training, **WITH.get(method, {})}
        both = {"student": STUDENTS.get(method, "resnet18"), **own}
        rows.append(Row(name, recipe, both, given, "teacher", published=quotes, baseline="student"))
    return rows


def _alone(name: str, network: str, training: dict[str, Any], quotes: tuple[Published, ...]) -> Row:
    return Row(name, "supervised", {"network": network}, training, published=quotes)


def _first(method: str, teacher: str, sources: tuple[str, ...]) -> tuple[Published, ...]:
    """What the first of the sources reports that has the method."""
    found = (quoted(source, "ImageNet", teacher, PAIR[1], method) for source in sources)
    return next(filter(None, found), ())


imagenet_34_18 = Table(
    sentence="ResNet-34 to ResNet-18 on ImageNet: every method with a published number for that pair.",
    source="each method's own authors; NORM README and torchdistill's logs for those whose text has none; "
    "channel-distillation README for FitNet, AT and RKD",
    data="imagenet",
    protocol="SGD with momentum 0.9, lr 0.1, x0.1 after epochs 30, 60, 90 of 100, weight decay 1e-4, batch 256, crops "
    "and flips, which is what most of them have (CTKD 120 epochs, SRRL batch 512 and lr 0.2); weights as their authors "
    "give for ImageNet, or else as in the CRD benchmark; the teacher is trained first, while most download theirs",
    epochs=100,
    make=_rows,
)
