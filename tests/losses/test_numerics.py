"""Every loss of the package, through a `Term` as in training, on inputs that break careless code."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from potstill import losses
from potstill.term import Term


@dataclass(frozen=True)
class Sizes:
    batch: int = 4
    classes: int = 5
    height: int = 4
    width: int = 4
    student: int = 6  # channels
    teacher: int = 8
    student_zoom: int = 1  # how many times larger its maps are
    teacher_zoom: int = 1


Shapes = dict[str, tuple[int, ...]]
Values = dict[str, Tensor]
Fill = Callable[[tuple[int, ...], torch.Generator], Tensor]


@dataclass(frozen=True)
class Row:
    """How a loss is made and addressed, the shapes of the leaves, and how its inputs are computed from these."""

    make: Callable[[], object]
    addresses: tuple[str | tuple[str, ...], ...]
    shapes: Callable[[Sizes], Shapes]
    compute: Callable[[Values], Values] = lambda values: values


def logits(size: Sizes) -> Shapes:
    return {"student": (size.batch, size.classes), "teacher": (size.batch, size.classes)}


def maps(size: Sizes) -> Shapes:
    own, target = size.student_zoom, size.teacher_zoom
    return {
        "student.map": (size.batch, size.student, own * size.height, own * size.width),
        "teacher.map": (size.batch, size.teacher, target * size.height, target * size.width),
    }


def pooled(size: Sizes) -> Shapes:
    return {"student.pooled": (size.batch, size.student), "teacher.pooled": (size.batch, size.teacher)}


def network(size: Sizes) -> Shapes:
    """Two maps, the later one of twice the channels and half the size, features, logits."""
    shapes = {**logits(size), **pooled(size), **maps(size)}
    for name in ("student", "teacher"):
        _, channels, height, width = shapes[f"{name}.map"]
        shapes[f"{name}.later"] = (size.batch, 2 * channels, -(-height // 2), -(-width // 2))
    return shapes


def as_wide(shapes: Callable[[Sizes], Shapes]) -> Callable[[Sizes], Shapes]:
    """For methods that need as many channels in the student as in the teacher."""
    return lambda size: shapes(replace(size, teacher=size.student))


def images_and_weights(size: Sizes) -> Shapes:
    """For methods that differentiate networks: images and each network's weights, for `run_networks`."""
    shapes: Shapes = {"images": (size.batch, 3, size.height, size.width)}
    for name, channels in (("student", size.student), ("teacher", size.teacher)):
        shapes |= {f"{name}.conv": (channels, 3, 1, 1), f"{name}.fc": (size.classes, channels)}
    return shapes


def run_networks(values: Values) -> Values:
    values = {**values}
    for name in ("student", "teacher"):
        conv, fc = values[f"{name}.conv"], values[f"{name}.fc"]
        features = F.conv2d(values["images"].to(conv.dtype), conv).tanh()
        values |= {f"{name}.map": features, name: features.square().mean(dim=(2, 3)) @ fc.T}
    return values


def both(*taps: str) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(f"{name}.{tap}" if tap else name for tap in taps) for name in ("student", "teacher"))


MAPS = ("student.map", "teacher.map")
LOGITS = ("student", "teacher")
POOLED = ("student.pooled", "teacher.pooled")
ROWS = {
    "AB": Row(losses.AB, MAPS, maps),
    "AFD": Row(losses.AFD, MAPS, maps),
    "AT": Row(losses.AT, MAPS, maps),
    "BSS": Row(losses.BSS, LOGITS, logits),
    "CC": Row(losses.CC, POOLED, pooled),
    "CD": Row(losses.CD, MAPS, maps),
    "CE": Row(losses.CE, ("student", "labels"), logits),
    "CRD": Row(lambda: losses.CRD(samples=9, width=5, negatives=7), (*POOLED, "index", "labels"), pooled),
    "DIST": Row(losses.DIST, LOGITS, logits),
    "DKD": Row(losses.DKD, (*LOGITS, "labels"), logits),
    "FSP": Row(losses.FSP, both("map", "later"), as_wide(network)),
    "FT": Row(losses.FT, MAPS, maps),
    "FitNet": Row(losses.FitNet, MAPS, maps),
    "IRG": Row(losses.IRG, both("map", "later", "pooled", ""), network),
    "KD": Row(lambda: losses.KD(guided=True), (*LOGITS, "labels"), logits),
    "KDSVD": Row(losses.KDSVD, both("map", "later"), as_wide(network)),
    "Logits": Row(losses.Logits, LOGITS, logits),
    "LwM": Row(losses.LwM, (*MAPS, *LOGITS, "labels"), images_and_weights, run_networks),
    "NST": Row(losses.NST, MAPS, maps),
    "OFD": Row(losses.OFD, MAPS, maps),
    "PKT": Row(losses.PKT, POOLED, pooled),
    "RKD": Row(losses.RKD, POOLED, pooled),
    "ReviewKD": Row(losses.ReviewKD, both("map", "later"), network),
    "SP": Row(losses.SP, MAPS, maps),
    "Sobolev": Row(losses.Sobolev, (*LOGITS, "labels", "images"), images_and_weights, run_networks),
    "VID": Row(losses.VID, MAPS, maps),
}


def normal(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=generator)


def thousands(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return 1000 * normal(shape, generator).sign()


def zeros(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.zeros(shape)


def equal_rows(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return normal((1, *shape[1:]), generator).expand(shape).clone()


@dataclass(frozen=True)
class Condition:
    size: Sizes = Sizes()
    dtype: torch.dtype = torch.float32
    fill: Fill = normal
    fills: dict[str, Fill] = field(default_factory=dict)  # of one network only
    equal: bool = False  # the teacher's values are the student's
    right: bool | None = None  # whether the labels are the teacher's choice; by default, at random


CONDITIONS = {
    "float32": Condition(),
    "bfloat16": Condition(dtype=torch.bfloat16),
    "float16": Condition(dtype=torch.float16),
    "plus and minus 1000": Condition(fill=thousands),
    "two classes": Condition(Sizes(classes=2)),
    "one sample": Condition(Sizes(batch=1)),
    "one pixel": Condition(Sizes(height=1, width=1)),
    "not square": Condition(Sizes(height=5, width=3)),
    "equal channels": Condition(Sizes(teacher=6)),
    "student twice as large": Condition(Sizes(student_zoom=2)),
    "teacher twice as large": Condition(Sizes(teacher_zoom=2)),
    "zero": Condition(fill=zeros),
    "student zero": Condition(fills={"student": zeros}),
    "teacher zero": Condition(fills={"teacher": zeros}),
    "equal rows": Condition(fill=equal_rows),
    "student equals teacher": Condition(Sizes(teacher=6), equal=True),
    "teacher never right": Condition(right=False),
}


def make_values(row: Row, condition: Condition) -> tuple[Values, Values, Values]:
    """The batch, and what of it belongs to the student and to the teacher: leaves that could all get gradients."""
    generator = torch.Generator().manual_seed(0)
    values: Values = {}
    for name, shape in row.shapes(condition.size).items():
        owner = name.partition(".")[0]
        twin = name.replace("teacher", "student")
        fill = condition.fills.get(owner, condition.fill)
        value = values[twin].detach() if condition.equal and twin in values else fill(shape, generator)
        # Images are float32 in any precision, as under autocast.
        values[name] = value.to(torch.float32 if name == "images" else condition.dtype).clone().requires_grad_()
    values["labels"] = torch.randint(condition.size.classes, (condition.size.batch,), generator=generator)
    values["index"] = torch.arange(condition.size.batch)
    if condition.right is not None and "teacher" in row.compute(values):
        shift = 0 if condition.right else 1
        values["labels"] = (row.compute(values)["teacher"].argmax(dim=1) + shift) % condition.size.classes
    return values, *({n: v for n, v in values.items() if n.startswith(owner)} for owner in ("student", "teacher"))


def make_term(row: Row, values: Values) -> Term:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        term = Term(row.make(), *row.addresses)
        with torch.no_grad():
            term.build(row.compute(values))
    return term


def used(row: Row, leaves: Values, term: Term) -> Values:
    """Those of the leaves that the term's value depends on."""
    found = {n: v for n, v in leaves.items() if n in term.flat_addresses or row.compute is run_networks}
    assert found
    return found


def test_every_loss_has_a_row():
    assert sorted(ROWS) == sorted(losses.__all__)


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("name", losses.__all__)
def test_value_and_gradients_are_finite_and_stay_with_the_student(name, condition):
    row = ROWS[name]
    values, student, teacher = make_values(row, CONDITIONS[condition])
    term = make_term(row, values)
    loss = term(row.compute(values))
    assert loss.shape == ()
    assert loss.dtype == torch.float32
    assert loss.isfinite()
    loss.backward()
    for learned, value in [*used(row, student, term).items(), *term.named_parameters()]:
        assert value.grad is not None, learned
        assert value.grad.isfinite().all(), learned
    assert all(value.grad is None for value in teacher.values())


@pytest.mark.parametrize("name", losses.__all__)
def test_gradients_agree_with_differences_in_float64(name):
    row = ROWS[name]
    size = Sizes(batch=3, height=3, width=2, student=3, teacher=4)
    values, student, _ = make_values(row, Condition(size, dtype=torch.float64))
    values = {n: v.double() if v.is_floating_point() else v for n, v in values.items()}
    term = make_term(row, values)
    term(row.compute(values))  # CRD takes its constants from the first batch
    term.eval()  # nothing else moves between two calls
    leaves = used(row, student, term)

    def loss(*changed: Tensor) -> Tensor:
        torch.manual_seed(0)
        return term(row.compute({**values, **dict(zip(leaves, changed, strict=True))}))

    assert torch.autograd.gradcheck(loss, [values[n].detach().requires_grad_() for n in leaves])
