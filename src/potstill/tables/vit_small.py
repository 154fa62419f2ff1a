"""Small vision transformers on ImageNet: DeiT-Ti and DeiT-S, by methods with a published number for one of them.

Weights and temperatures are their authors', but for KD's and WTTM's, which the source of their numbers does not give
for transformers: not published; ours. WTTM has those of CIFAR-100.
"""

from dataclasses import replace
from typing import Any

from potstill.presets import PRESETS
from potstill.tables.published import Published, quoted
from potstill.tables.row import Budget, Row, Table

TINY, SMALL = "timm:deit_tiny_patch16_224", "timm:deit_small_patch16_224"
TEACHERS = {  # as they are published, and those weights by their names in timm
    "DeiT-III-Small": "timm:deit3_small_patch16_224",
    "DeiT III-Small": "timm:deit3_small_patch16_224",
    "DeiT III-Base": "timm:deit3_base_patch16_224",
    "RegNetY-160": "timm:regnety_160.deit_in1k",
    "RegNetY-16GF": "timm:regnety_160.deit_in1k",
    "CaiT-S24": "timm:cait_s24_224",
}
CE = "1 * CE(label_smoothing=0.1)"
NKD = "1 * NKD(gamma=1.5, temperature=1)"
VITKD = "1 * ViTKD(alpha=3e-5, beta=3e-6, ratio=0.5) on blocks.0:map, blocks.1:map, blocks.11:map"
BOTH_HEADS = ("0.5 * CE(label_smoothing=0.1) on student#0", "0.5 * KD(hard=True) on student#1")
# The pairs that Manifold's authors name, and their mean.
BLOCKS = zip((0, 1, 2, 3, 8, 9, 10, 11), (0, 1, 2, 3, 20, 21, 22, 23), strict=True)
MANIFOLD = "0.125 * Manifold(sample=0.1, patch=4, random=0.2, tokens=192) on " + ", ".join(
    f"blocks.{own}=blocks.{other}" for own, other in BLOCKS
)
TERMS: dict[str, tuple[str, ...]] = {
    "KD": (CE, "1 * KD(temperature=1)"),
    "NKD": (CE, NKD),
    "WTTM": (CE, "1 * TTM(gamma=0.2, weighted=True)"),
    "ViTKD": (CE, VITKD),
    "ViTKD+NKD": (CE, VITKD, NKD),
    "VkD": (CE, "1 * VkD on blocks.11:map=s4"),
    "DeiT-hard": BOTH_HEADS,
    "Manifold": ("1 * KD(temperature=1)", MANIFOLD),
}
ROWS = (  # source, teacher, student and method as published, the student here
    ("TTM README", "DeiT-III-Small", "DeiT-Tiny", "KD", TINY),
    ("cls_KD nkd.md", "DeiT-III-Small", "DeiT-Tiny", "NKD", TINY),
    ("TTM README", "DeiT-III-Small", "DeiT-Tiny", "WTTM", TINY),
    ("cls_KD vitkd.md", "DeiT III-Small", "DeiT-Ti", "ViTKD", TINY),
    ("cls_KD vitkd.md", "DeiT III-Small", "DeiT-Ti", "ViTKD+NKD", TINY),
    ("VkD README", "RegNetY-160", "DeiT-Ti", "VkD", TINY),
    ("manifold-distillation README", "CaiT-S24", "DeiT-Ti", "Manifold", TINY),
    ("DeiT README", "RegNetY-16GF", "DeiT-Tiny-distilled", "DeiT-hard", "timm:deit_tiny_distilled_patch16_224"),
    ("cls_KD vitkd.md", "DeiT III-Base", "DeiT-S", "ViTKD", SMALL),
    ("cls_KD vitkd.md", "DeiT III-Base", "DeiT-S", "ViTKD+NKD", SMALL),
    ("VkD README", "RegNetY-160", "DeiT-S", "VkD", SMALL),
    ("DeiT README", "RegNetY-16GF", "DeiT-Small-distilled", "DeiT-hard", "timm:deit_small_distilled_patch16_224"),
)


def _rows(budget: Budget) -> list[Row]:
    training = settings(budget)
    rows = [
        _alone("deit-ti", TINY, (CE,), training, quoted("cls_KD nkd.md", "ImageNet", "-", "DeiT-Tiny", "Baseline")),
        _alone("deit-s", SMALL, (CE,), training, ()),
    ]
    uskd = (CE, "1 * USKD(alpha=1, beta=0.1, mu=0.005) on student.pooled, student")
    found = quoted("cls_KD nkd.md", "ImageNet", "-", "DeiT-Tiny", "USKD")
    rows.append(replace(_alone("deit-ti-uskd", TINY, uskd, training, found), baseline="deit-ti"))
    for source, teacher, student, method, spec in ROWS:
        size = "deit-ti" if "_tiny_" in spec else "deit-s"
        arguments = {"student": spec, "teacher": TEACHERS[teacher], "terms": TERMS[method]}
        quotes = quoted(source, "ImageNet", teacher, student, method)
        rows.append(Row(f"{size}-{method.lower()}", "distill", arguments, training, published=quotes, baseline=size))
    return rows


def _alone(
    name: str, spec: str, terms: tuple[str, ...], training: dict[str, Any], quotes: tuple[Published, ...]
) -> Row:
    return Row(name, "supervised", {"network": spec, "terms": terms}, training, published=quotes)


def settings(budget: Budget) -> dict[str, Any]:
    """The fields of `Training` that all of the table's runs have: those of DeiT."""
    own = dict(PRESETS["deit"].settings)
    return {"data": "imagenet", **own, "epochs": budget.epochs, "warmup": min(own["warmup"], budget.lasting(5))}


vit_small = Table(
    sentence="Small vision transformers on ImageNet: DeiT-Ti and DeiT-S from DeiT III, RegNetY and CaiT.",
    source="TTM, cls_KD, VkD, manifold-distillation and DeiT READMEs",
    data="imagenet",
    protocol=f"as DeiT: AdamW, lr 1e-3 for batches of 1024, cosine, 300 epochs, label smoothing, mixup, CutMix, "
    f"RandAugment, erasing. {PRESETS['deit'].otherwise} Teachers have the weights that their authors published, by "
    "timm",
    epochs=300,
    make=_rows,
)
