"""Every loss of the package, through a `Term` as in training and bare, on inputs that break careless code."""

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
    "BCE": Row(losses.BCE, ("student", "labels"), logits),
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
    "SigmoidKD": Row(losses.SigmoidKD, LOGITS, logits),
    "Sobolev": Row(losses.Sobolev, (*LOGITS, "labels", "images"), images_and_weights, run_networks),
    "VID": Row(losses.VID, MAPS, maps),
}


def normal(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=generator)


def ten_thousands(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return 10_000 * normal(shape, generator).sign()


def tiny(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return 1e-7 * normal(shape, generator)


def one_dead_map(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """The first channel, feature or class is 0 everywhere, and the first sample is, too."""
    values = normal(shape, generator)
    values[0] = 0
    values[:, 0] = 0
    return values


def constant(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.full(shape, 3.0)


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
    images: torch.dtype | None = None  # by default float32 at least, as under autocast
    right: bool | None = None  # whether the labels are the teacher's choice; by default, at random


CONDITIONS = {
    "float32": Condition(),
    "bfloat16": Condition(dtype=torch.bfloat16),
    "float16": Condition(dtype=torch.float16),
    "plus and minus 10000": Condition(fill=ten_thousands),
    "teacher plus and minus 10000": Condition(fills={"teacher": ten_thousands}),
    "plus and minus 10000, bfloat16": Condition(fill=ten_thousands, dtype=torch.bfloat16),
    "plus and minus 10000, float16": Condition(fill=ten_thousands, dtype=torch.float16),
    "float64": Condition(dtype=torch.float64),
    "10000 classes": Condition(Sizes(classes=10_000)),
    "10000 classes, float16": Condition(Sizes(classes=10_000), dtype=torch.float16),
    "10000 classes, plus and minus 10000": Condition(Sizes(classes=10_000), fill=ten_thousands),
    "two classes, plus and minus 10000, float16": Condition(Sizes(classes=2), torch.float16, ten_thousands),
    "one sample, one pixel, two classes": Condition(Sizes(1, 2, 1, 1)),
    "one sample, one pixel, two classes, float16": Condition(Sizes(1, 2, 1, 1), torch.float16),
    "one sample, zero": Condition(Sizes(batch=1), fill=zeros),
    "one pixel, zero, float16": Condition(Sizes(height=1, width=1), torch.float16, zeros),
    "one channel": Condition(Sizes(student=1, teacher=1)),
    "zero, float16": Condition(fill=zeros, dtype=torch.float16),
    "zero, float16 images": Condition(fill=zeros, dtype=torch.float16, images=torch.float16),
    "float16 images": Condition(dtype=torch.float16, images=torch.float16),
    "zero, bfloat16": Condition(fill=zeros, dtype=torch.bfloat16),
    "tiny": Condition(fill=tiny),
    "tiny, float16": Condition(fill=tiny, dtype=torch.float16),
    "one dead map": Condition(fill=one_dead_map),
    "one dead map, float16": Condition(fill=one_dead_map, dtype=torch.float16),
    "constant": Condition(fill=constant),
    "constant, float16": Condition(fill=constant, dtype=torch.float16),
    "constant teacher": Condition(fills={"teacher": constant}),
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
        dtype = (condition.images or torch.promote_types(condition.dtype, torch.float32)) if name == "images" else None
        values[name] = value.to(dtype or condition.dtype).clone().requires_grad_()
    values["labels"] = torch.randint(condition.size.classes, (condition.size.batch,), generator=generator)
    values["index"] = torch.arange(condition.size.batch)
    if condition.right is not None and "teacher" in row.compute(values):
        shift = 0 if condition.right else 1
        values["labels"] = (row.compute(values)["teacher"].argmax(dim=1) + shift) % condition.size.classes
    return values, *({n: v for n, v in values.items() if n.startswith(owner)} for owner in ("student", "teacher"))


def make_term(row: Row, values: Values, through: str = "term") -> Term:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        term = Term(row.make(), *row.addresses)
        with torch.no_grad():
            computed = row.compute(values)
            if through == "term":
                term.build(computed)
            elif hasattr(term.loss, "build"):
                term.loss.build(*(_take(computed, address) for address in row.addresses))
    return term


def bare(row: Row, values: Values, term: Term) -> Tensor:
    """The loss of these values without a term, which would cast them."""

    first, *rest = row.addresses
    return term.loss(_take(values, first), *(_take(values, a, detach=not term.needs_graph) for a in rest))


def _take(values: Values, address: str | tuple[str, ...], detach: bool = False) -> Tensor | tuple[Tensor, ...]:
    if isinstance(address, tuple):
        return tuple(_take(values, part, detach) for part in address)
    return values[address].detach() if detach else values[address]


def used(row: Row, leaves: Values, term: Term) -> Values:
    """Those of the leaves that the term's value depends on."""
    found = {n: v for n, v in leaves.items() if n in term.flat_addresses or row.compute is run_networks}
    assert found
    return found


VARIANTS = {
    "AB, batchmean": replace(ROWS["AB"], make=lambda: losses.AB(reduction="batchmean")),
    "AT, p=4": replace(ROWS["AT"], make=lambda: losses.AT(p=4, channels="sum", eps_placement="add")),
    "AT, p=1": replace(ROWS["AT"], make=lambda: losses.AT(p=1)),
    "CC, neighbours": replace(ROWS["CC"], make=lambda: losses.CC(kernel="neighbours", width=3)),
    "CC, order 9": replace(ROWS["CC"], make=lambda: losses.CC(gamma=40, order=9)),
    "CRD, batch": Row(lambda: losses.CRD(width=5, contrast="batch"), POOLED, pooled),
    "CRD, relaxed": replace(
        ROWS["CRD"], make=lambda: losses.CRD(9, width=5, negatives=7, relaxed=True, contrast="samples")
    ),
    "DIST, hot": replace(ROWS["DIST"], make=lambda: losses.DIST(temperature=1e4)),
    "DKD, standardize": replace(ROWS["DKD"], make=lambda: losses.DKD(standardize=True)),
    "DKD, cold": replace(ROWS["DKD"], make=lambda: losses.DKD(temperature=1e-3)),
    "FT, channel_power=2": replace(ROWS["FT"], make=lambda: losses.FT(channel_power=2, p=2)),
    "KD, standardize": Row(lambda: losses.KD(standardize=True, reduction="elementmean"), LOGITS, logits),
    "KD, hot": Row(lambda: losses.KD(temperature=1e4), LOGITS, logits),
    "KD, cold": Row(lambda: losses.KD(temperature=1e-3), LOGITS, logits),
    "KDSVD, columns": replace(ROWS["KDSVD"], make=lambda: losses.KDSVD(patterns="columns")),
    "Logits, batchmean": replace(ROWS["Logits"], make=lambda: losses.Logits(reduction="batchmean")),
    "LwM, gradient": replace(ROWS["LwM"], make=lambda: losses.LwM(weighted="gradient")),
    "OFD, batchmean": replace(ROWS["OFD"], make=lambda: losses.OFD(reduction="batchmean")),
    "RKD, angle": replace(ROWS["RKD"], make=lambda: losses.RKD(distance=0)),
}
HARD = (
    *("plus and minus 10000", "plus and minus 10000, float16", "zero, float16", "constant", "one dead map, float16"),
    *("one sample, one pixel, two classes, float16", "10000 classes, plus and minus 10000"),
)


@pytest.mark.parametrize("condition", HARD)
@pytest.mark.parametrize("variant", VARIANTS)
def test_other_arguments_are_as_finite(variant, condition):
    row = VARIANTS[variant]
    values, student, _ = make_values(row, CONDITIONS[condition])
    term = make_term(row, values, through="bare")
    loss = bare(row, row.compute(values), term)
    loss.backward()
    assert loss.isfinite()
    assert all(value.grad.isfinite().all() for value in used(row, student, term).values())


def test_every_loss_has_a_row():
    assert sorted(ROWS) == sorted(losses.__all__)


@pytest.mark.parametrize(
    ("condition", "through"),
    [*((condition, "bare") for condition in CONDITIONS), *((c, "term") for c in ("float32", "bfloat16", "float16"))],
)
@pytest.mark.parametrize("name", losses.__all__)
def test_value_and_gradients_are_finite_and_stay_with_the_student(name, condition, through):
    row = ROWS[name]
    values, student, teacher = make_values(row, CONDITIONS[condition])
    term = make_term(row, values, through)
    computed = row.compute(values)
    loss = term(computed) if through == "term" else bare(row, computed, term)
    assert loss.shape == ()
    assert loss.dtype == torch.promote_types(CONDITIONS[condition].dtype, torch.float32)
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
