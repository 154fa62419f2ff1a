"""Methods since, in the CIFAR-100 benchmark of CRD: who reports them, and their terms with their authors' weights."""

from potstill.tables.row import Budget

STANDARDISED = "logit-standardization-KD"
SDD = "SDD-CVPR2024"
SOURCES: dict[str, tuple[str, ...]] = {
    "CTKD": ("CTKD README", STANDARDISED),
    "TTM": ("TTM README",),
    "WTTM": ("TTM README",),
    "WTTM+CRD": ("TTM README",),
    "WTTM+ITRD": ("TTM README",),
    "MLKD": (STANDARDISED,),
    "DKD+LS": (STANDARDISED,),
    "CTKD+LS": (STANDARDISED,),
    "MLKD+LS": (STANDARDISED,),
    "NKD": (SDD,),
    "SD-KD": (SDD,),
    "SD-DKD": (SDD,),
    "SD-NKD": (SDD,),
    "WKD-L": ("WKD README",),
    "WKD-F": ("WKD README",),
    "WKD-L+WKD-F": ("WKD README",),
    "SemCKD": ("SimKD README", "NORM README"),
    "SRRL": ("SimKD README", "NORM README"),
    "SimKD": ("NORM README", "SimKD README"),
    "SimKD factor 4": ("SimKD README",),
    "SimKD factor 8": ("SimKD README",),
    "NORM": ("NORM README",),
    "NORM+KD": ("NORM README",),
    "NORM+CRD": ("NORM README",),
    "ICKD-C": ("ICKD README",),
    "ICKD-C without KD": ("ICKD README",),
    "ITRD": ("ITRD README",),
    "SSKD": ("SSKD README",),
    "HSAKD": ("HSAKD README",),
}
OF_NOBODY = ("ABKD", "AFM", "CAT-KD", "FCFD", "KD++", "LumiNet", "RLD", "WSLD")
"""Methods whose numbers stand in no text: rows of `USUAL` alone, without a published number."""
USUAL = ("resnet32x4", "resnet8x4")
ALSO = {"SimKD": ("SimKD factor 2",)}
"""What a method is called where it has another name."""
LAST_MAPS = {"wrn": "relu", "MobileNetV2": "conv2", "ShuffleNetV2": "relu2", "vgg": "stage4", "ResNet50": "stage4"}
"""What is pooled before the classifier, where that is not the third stage."""


def last_map(network: str) -> str:
    """The place in a network of the benchmark that is pooled before its classifier."""
    return next((place for start, place in LAST_MAPS.items() if network.startswith(start)), "stage3")


def later_terms(method: str, budget: Budget, teacher: str, student: str) -> tuple[str, ...]:
    """The terms of a method, with its authors' weights."""
    return _of_logits(method, budget, student, teacher) or _of_features(method, budget, student, teacher)


def _of_logits(method: str, budget: Budget, student: str, teacher: str) -> tuple[str, ...]:
    warm = budget.lasting(20)
    regions = f"on {last_map(student)}={last_map(teacher)}, fc.weight, fc.bias"
    weighted = "4 * TTM(gamma=0.2, weighted=True)"
    both_views = ("0.1 * CE", "0.1 * CE on student@strong")
    crd = "0.8 * CRD(width=128, negatives=16384, temperature=0.07, momentum=0.5)"
    found = {
        "ABKD": ("1 * CE", "1 * ABKD"),
        "CTKD": ("0.1 * CE", "0.9 * CTKD"),
        "CTKD+LS": ("0.1 * CE", "9 * CTKD(standardize=True)"),
        "DKD+LS": ("1 * CE", f"warmup(9, {warm}) * DKD(alpha=1, beta=2, temperature=2, standardize=True)"),
        "LumiNet": ("1 * CE", f"warmup(1, {warm}) * LumiNet"),
        "MLKD": (*both_views, "0.9 * MLKD(views=2)"),
        "MLKD+LS": (*both_views, "9 * MLKD(temperature=2, views=2, standardize=True)"),
        "NKD": ("1 * CE", "1 * NKD(gamma=3.5, temperature=3)"),
        "RLD": ("1 * CE", f"warmup(1, {warm}) * RLD(alpha=1, beta=8)"),
        "SD-DKD": ("1 * CE", f"warmup(1, {warm}) * SDD(base='DKD', beta=8) {regions}"),
        "SD-KD": ("0.1 * CE", f"0.9 * SDD {regions}"),
        "SD-NKD": ("1 * CE", f"warmup(1, {warm}) * SDD(base='NKD') {regions}"),
        "TTM": ("1 * CE", "45 * TTM(gamma=0.1)"),
        "WSLD": ("1 * CE", "2.25 * WSLD(temperature=4)"),
        "WTTM": ("1 * CE", weighted),
        "WTTM+CRD": ("1 * CE", weighted, crd),
        "WTTM+ITRD": ("1 * CE", weighted, _itrd(student)),
    }
    return found.get(method, ())


def _of_features(method: str, budget: Budget, student: str, teacher: str) -> tuple[str, ...]:
    decayed = f"{budget.at(150)[0]}, {budget.epochs}"
    last = f"on {last_map(student)}={last_map(teacher)}"
    kd = "1 * KD(temperature=4)"
    means = f"late_cosine(0.08, {decayed}) * WKDF(ratio=4, grid=1) {last}"
    both = f"late_cosine(0.08, {decayed}) * WKDF(ratio=8, grid=1) {last}"
    found = {
        "AFM": ("1 * CE", "0.9 * KD(temperature=4)", "200 * AFM"),
        "CAT-KD": ("1 * CE", f"15 * CATKD(normalize=False) {last}, fc.weight, fc.bias"),
        "HSAKD": ("1 * HSAKD(temperature=3)",),
        "ICKD-C": ("1 * CE", kd, f"2.5 * ICKD {last}"),
        "ICKD-C without KD": ("1 * CE", f"2.5 * ICKD {last}"),
        "ITRD": ("1 * CE", _itrd(student)),
        "SRRL": ("1 * CE", kd, "1 * SRRL"),
        "SSKD": ("1 * SSKD",),
        "SemCKD": ("1 * CE", kd, f"400 * SemCKD(batch=64) on {_stages(student, teacher)}"),
        "WKD-F": ("1 * CE", means),
        "WKD-L": ("1 * CE", *_transport(600, decayed)),
        "WKD-L+WKD-F": ("1 * CE", *_transport(200, decayed), both),
    }
    return found[method]


def _itrd(student: str) -> str:
    return "1 * ITRD(mutual=1, alpha=1.01)" if student.startswith("wrn") else "1 * ITRD"


def _transport(weight: int, decayed: str) -> tuple[str, str]:
    """Both parts of WKD-L: the label's, which stays, and the distance, which falls."""
    return "1 * WKDL(beta=0, temperature=8)", f"late_cosine({weight}, {decayed}) * WKDL(alpha=0, beta=1, temperature=8)"


def _stages(student: str, teacher: str) -> str:
    """The last three stages of each."""
    found = [
        [f"stage{i}" for i in ((2, 3, 4) if network.startswith(("vgg", "MobileNet", "ResNet50")) else (1, 2, 3))]
        for network in (student, teacher)
    ]
    return ", ".join(f"{one}={other}" for one, other in zip(*found, strict=True))
