"""Students of the CRD benchmark that a method puts something in: SimKD its teacher's classifier, NORM an expansion."""

from typing import Any

from potstill.tables.crd_later import last_map
from potstill.tables.row import Budget

WIDTHS = {"resnet32x4": 256, "wrn-40-2": 128, "resnet56": 64, "resnet110": 64, "vgg13": 512, "ResNet50": 2048}
"""Channels of the teachers' last maps, which NORM's students have in their expansions."""
COPIES = 8  # of them, by NORM's authors


def reused_classifier(method: str, spec: str, teacher: str, student: str) -> dict[str, Any]:
    """SimKD's student, which goes on with its teacher's classifier from the last map on, and its only term."""
    below, above = last_map(student), last_map(teacher)
    factor = method.removeprefix("SimKD factor ") if "factor" in method else 2
    return {
        "student": f"{spec}^{factor}^{{teacher}}@{below}={above}",
        "terms": (f"1 * SimKD(transfer=False) on bridge={above}",),
    }


def expanded(method: str, spec: str, budget: Budget, teacher: str, student: str) -> dict[str, Any]:
    """NORM's student, which has an expansion of its last map, and its terms.

    The authors' README has the weight 0.1 of cross-entropy in its example, and their code 2.5 of CRD. The weight of KD
    in NORM+KD is not published: 1 is ours.
    """
    at = ", ".join(map(str, budget.at(10, 20, 180, 210)))
    terms: tuple[str, ...] = (
        f"1 * NORMLogits(ce=0.1, kd={1 if method == 'NORM+KD' else 0})",
        f"steps([0.1, 0.5, 1, 0.5, 0.1], [{at}]) * NORM on bridge.expand={_map(teacher)}",
    )
    if method == "NORM+CRD":
        terms += ("2.5 * CRD(width=128, negatives=16384, temperature=0.07, momentum=0.5)",)
    return {"student": f"{spec}^{COPIES}x{WIDTHS[teacher]}^{spec}@{_map(student)}", "terms": terms}


def _map(network: str) -> str:
    """The map that NORM takes: a wide ResNet's before its last batch norm."""
    return "stage3" if network.startswith("wrn") else last_map(network)
