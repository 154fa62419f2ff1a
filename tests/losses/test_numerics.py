"""Every loss of the package, through a `Term` as in training and bare, on inputs that break careless code."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import product

import pytest
import torch
import torch.nn.functional as F
from drawn import drawn
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


def classifier(size: Sizes) -> Shapes:
    """Maps, and each network's classifier of what is pooled from them."""
    shapes = {**logits(size), **maps(size), **pooled(size)}
    for name, channels in (("student", size.student), ("teacher", size.teacher)):
        shapes |= {f"{name}.fc.weight": (size.classes, channels), f"{name}.fc.bias": (size.classes,)}
    return shapes


def twice_as_wide(shapes: Callable[[Sizes], Shapes]) -> Callable[[Sizes], Shapes]:
    """For a student that makes two representations of each of the teacher's."""
    return lambda size: shapes(replace(size, student=2 * size.teacher))


def in_rotations(shapes: Callable[[Sizes], Shapes]) -> Callable[[Sizes], Shapes]:
    """For methods that see every image in four rotations."""
    return lambda size: (
        {name: (4 * rows, *rest) for name, (rows, *rest) in shapes(size).items()} | {"images": (size.batch, 3, 4, 4)}
    )


def two_batches(size: Sizes) -> Shapes:
    return {"student": (size.batch, size.classes), "student.before": (size.batch, size.classes)}


def branches(size: Sizes) -> Shapes:
    return {**logits(size), "student.branch": (size.batch, size.classes), "student.map": maps(size)["student.map"]}


def with_scalars(values: Values) -> Values:
    """What a distiller adds to every batch, in the middle of a run."""
    return {**values, "epoch": torch.tensor(30.0), "progress": torch.tensor(0.5)}


def few_classes(shapes: Callable[[Sizes], Shapes]) -> Callable[[Sizes], Shapes]:
    """For methods that compare every two classes."""
    return lambda size: shapes(replace(size, classes=min(size.classes, 300)))


def with_last_map(size: Sizes) -> Shapes:
    """Logits, and the last map and layer that they come from."""
    shapes = {**logits(size), **maps(size)}
    for name, channels in (("student", size.student), ("teacher", size.teacher)):
        shapes |= {f"{name}.weight": (size.classes, channels), f"{name}.bias": (size.classes,)}
    return shapes


def of_one_size(size: Sizes) -> Shapes:
    """For methods whose maps have one shape in both networks."""
    return network(replace(size, teacher=size.student, student_zoom=1, teacher_zoom=1))


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
TEACHERS_CLASSIFIER = ("teacher", "teacher.fc.weight", "teacher.fc.bias")


LAST = ("map", "weight", "bias")
ROWS = {
    "AB": Row(losses.AB, MAPS, maps),
    "ABKD": Row(losses.ABKD, LOGITS, logits),
    "AFD": Row(losses.AFD, MAPS, maps),
    "AFM": Row(losses.AFM, both("map", "later"), network),
    "AT": Row(losses.AT, MAPS, maps),
    "BKD": Row(losses.BKD, LOGITS, logits),
    "BCE": Row(losses.BCE, ("student", "labels"), logits),
    "BSS": Row(losses.BSS, LOGITS, logits),
    "CATKD": Row(losses.CATKD, both("map", "fc.weight", "fc.bias"), classifier),
    "BYOT": Row(losses.BYOT, (("student.map", "student.later", "student"), "labels", "teacher.pooled"), network),
    "CC": Row(losses.CC, POOLED, pooled),
    "CD": Row(losses.CD, MAPS, maps),
    "CE": Row(losses.CE, ("student", "labels"), logits),
    "CKA": Row(losses.CKA, POOLED, pooled),
    "CRD": Row(lambda: losses.CRD(samples=9, width=5, negatives=7), (*POOLED, "index", "labels"), pooled),
    "CWD": Row(losses.CWD, MAPS, maps),
    "CosineSmoothL1": Row(losses.CosineSmoothL1, POOLED, pooled),
    "CTKD": Row(losses.CTKD, (*LOGITS, "epoch"), logits),
    "DIST": Row(losses.DIST, LOGITS, logits),
    "DISTPlus": Row(losses.DISTPlus, both("map", ""), of_one_size),
    "DKD": Row(losses.DKD, (*LOGITS, "labels"), logits),
    "DiffKD": Row(lambda: losses.DiffKD(autoencoder=5, steps=2), MAPS, maps),
    "FCFD": Row(losses.FCFD, both("map", "later"), network),
    "EGA": Row(losses.EGA, POOLED, pooled),
    "FSP": Row(losses.FSP, both("map", "later"), as_wide(network)),
    "FT": Row(losses.FT, MAPS, maps),
    "FitNet": Row(losses.FitNet, MAPS, maps),
    "ICKD": Row(losses.ICKD, MAPS, maps),
    "DLB": Row(losses.DLB, (("student", "student.before"), "labels", "labels"), two_batches),
    "HSAKD": Row(losses.HSAKD, (*both("map", "later", ""), "labels"), in_rotations(network)),
    "FunctionMatching": Row(losses.FunctionMatching, LOGITS, logits),
    "IRG": Row(losses.IRG, both("map", "later", "pooled", ""), network),
    "ITRD": Row(losses.ITRD, POOLED, pooled),
    "KD": Row(lambda: losses.KD(guided=True), (*LOGITS, "labels"), logits),
    "KDCL": Row(losses.KDCL, (*LOGITS, "labels"), logits),
    "KDSVD": Row(losses.KDSVD, both("map", "later"), as_wide(network)),
    "LabelSmoothing": Row(losses.LabelSmoothing, ("student", "labels"), logits),
    "Logits": Row(losses.Logits, LOGITS, logits),
    "LumiNet": Row(losses.LumiNet, LOGITS, logits),
    "LwM": Row(losses.LwM, (*MAPS, *LOGITS, "labels"), images_and_weights, run_networks),
    "MGD": Row(losses.MGD, MAPS, maps),
    "MasKD": Row(losses.MasKD, MAPS, maps),
    "NORM": Row(losses.NORM, MAPS, twice_as_wide(maps)),
    "NORMLogits": Row(losses.NORMLogits, (*LOGITS, "labels"), logits),
    "Manifold": Row(losses.Manifold, MAPS, maps),
    "ND": Row(losses.ND, (*POOLED, "labels"), pooled),
    "MLKD": Row(losses.MLKD, LOGITS, few_classes(logits)),
    "NKD": Row(losses.NKD, (*LOGITS, "labels"), logits),
    "NST": Row(losses.NST, MAPS, maps),
    "OFA": Row(losses.OFA, (("student.map", "student.later"), "teacher", "labels", "teacher.pooled"), network),
    "OFD": Row(losses.OFD, MAPS, maps),
    "PAD": Row(losses.PAD, POOLED, pooled),
    "PKD": Row(losses.PKD, MAPS, maps),
    "ONE": Row(losses.ONE, (("student", "student.branch", "student.map"), "labels", "epoch"), branches, with_scalars),
    "PKT": Row(losses.PKT, POOLED, pooled),
    "PSKD": Row(lambda: losses.PSKD(samples=9), ("student", "labels", "progress", "index"), logits, with_scalars),
    "PatchMSE": Row(losses.PatchMSE, MAPS, maps),
    "QueueKL": Row(lambda: losses.QueueKL(queue=9), POOLED, pooled),
    "QueuePatchKL": Row(lambda: losses.QueuePatchKL(queue=9), both("pooled", "map"), network),
    "RKD": Row(losses.RKD, POOLED, pooled),
    "RLD": Row(losses.RLD, (*LOGITS, "labels"), logits),
    "ReviewKD": Row(losses.ReviewKD, both("map", "later"), network),
    "SDD": Row(losses.SDD, (*both(*LAST), "labels"), with_last_map),
    "SKD": Row(losses.SKD, LOGITS, logits),
    "SP": Row(losses.SP, MAPS, maps),
    "SRD": Row(losses.SRD, both("pooled", ""), network),
    "SRRL": Row(losses.SRRL, (*MAPS, *TEACHERS_CLASSIFIER), classifier),
    "SemCKD": Row(lambda: losses.SemCKD(batch=5), both("map", "later"), network),
    "SimKD": Row(losses.SimKD, MAPS, maps),
    "SSKD": Row(losses.SSKD, (*both("", "pooled"), "labels"), in_rotations(network)),
    "SigmoidKD": Row(losses.SigmoidKD, LOGITS, logits),
    "Sobolev": Row(losses.Sobolev, (*LOGITS, "labels", "images"), images_and_weights, run_networks),
    "TaT": Row(losses.TaT, MAPS, maps),
    "VID": Row(losses.VID, MAPS, maps),
    "ViTKD": Row(losses.ViTKD, both("map", "map", "later"), network),
    "VkD": Row(losses.VkD, POOLED, pooled),
    "WKDF": Row(losses.WKDF, MAPS, maps),
    "TTM": Row(losses.TTM, LOGITS, logits),
    "TfKD": Row(losses.TfKD, ("student", "labels"), logits),
    "USKD": Row(losses.USKD, (("student.pooled", "student"), "labels"), network),
    "WKDL": Row(losses.WKDL, (*LOGITS, "labels", "teacher.weight"), few_classes(with_last_map)),
    "WSLD": Row(losses.WSLD, (*LOGITS, "labels"), logits),
}
MOVING = ("KDCL", "USKD", "WSLD")
"""Their targets or weights come from the student too, and get no gradient: differences of values see them move."""


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
    if len(shape) > 1:
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
    classes = values["student"].shape[1] if "student" in values else condition.size.classes
    values["labels"] = torch.randint(classes, (condition.size.batch,), generator=generator)
    values["epoch"] = torch.zeros(())
    values["index"] = torch.arange(condition.size.batch)
    if condition.right is not None and "teacher" in row.compute(values):
        shift = 0 if condition.right else 1
        teacher = row.compute(values)["teacher"]
        upright = teacher[:: len(teacher) // condition.size.batch]  # of the upright images, if it turns them
        values["labels"] = (upright.argmax(dim=1) + shift) % classes
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
    "ABKD, reversed": Row(lambda: losses.ABKD(0, 1), LOGITS, logits),
    "AT, p=4": replace(ROWS["AT"], make=lambda: losses.AT(p=4, channels="sum", eps_placement="add")),
    "AT, p=1": replace(ROWS["AT"], make=lambda: losses.AT(p=1)),
    "CATKD, plain": Row(
        lambda: losses.CATKD(normalize=False, binarize=True, classes=2),
        (*both("map", "fc.weight", "fc.bias"), "teacher"),
        classifier,
    ),
    "CC, neighbours": replace(ROWS["CC"], make=lambda: losses.CC(kernel="neighbours", width=3)),
    "CC, order 9": replace(ROWS["CC"], make=lambda: losses.CC(gamma=40, order=9)),
    "CKA, rbf": replace(ROWS["CKA"], make=lambda: losses.CKA("rbf")),
    "CRD, batch": Row(lambda: losses.CRD(width=5, contrast="batch"), POOLED, pooled),
    "CRD, relaxed": replace(
        ROWS["CRD"], make=lambda: losses.CRD(9, width=5, negatives=7, relaxed=True, contrast="samples")
    ),
    "CWD, channels": replace(ROWS["CWD"], make=lambda: losses.CWD(over="channels")),
    "CWD, mse": replace(ROWS["CWD"], make=lambda: losses.CWD(divergence="mse")),
    "DIST, hot": replace(ROWS["DIST"], make=lambda: losses.DIST(temperature=1e4)),
    "DKD, standardize": replace(ROWS["DKD"], make=lambda: losses.DKD(standardize=True)),
    "DKD, cold": replace(ROWS["DKD"], make=lambda: losses.DKD(temperature=1e-3)),
    "FitNet, pool=teacher": replace(ROWS["FitNet"], make=lambda: losses.FitNet(relu=False, pool="teacher")),
    "CTKD, decoupled": Row(lambda: losses.CTKD(epochs=0, decoupled=True), (*LOGITS, "labels"), logits),
    "FunctionMatching, euclidean": Row(lambda: losses.FunctionMatching("euclidean"), LOGITS, logits),
    "FT, channel_power=2": replace(ROWS["FT"], make=lambda: losses.FT(channel_power=2, p=2)),
    "KD, standardize": Row(lambda: losses.KD(standardize=True, reduction="elementmean"), LOGITS, logits),
    "KD, hot": Row(lambda: losses.KD(temperature=1e4), LOGITS, logits),
    "KD, cold": Row(lambda: losses.KD(temperature=1e-3), LOGITS, logits),
    "KDSVD, columns": replace(ROWS["KDSVD"], make=lambda: losses.KDSVD(patterns="columns")),
    "Logits, batchmean": replace(ROWS["Logits"], make=lambda: losses.Logits(reduction="batchmean")),
    "RLD, cold": replace(ROWS["RLD"], make=lambda: losses.RLD(temperature=1e-3, own_temperature=1e-3)),
    "SDD, DKD": replace(ROWS["SDD"], make=lambda: losses.SDD("DKD", scales=(1, 2))),
    "SDD, NKD": replace(ROWS["SDD"], make=lambda: losses.SDD("NKD", exact=True)),
    "TTM, weighted": Row(lambda: losses.TTM(0.01, weighted=True), LOGITS, logits),
    "LwM, gradient": replace(ROWS["LwM"], make=lambda: losses.LwM(weighted="gradient")),
    "MGD, positions": replace(ROWS["MGD"], make=lambda: losses.MGD(ratio=0.65, over="positions")),
    "MasKD, student": replace(ROWS["MasKD"], make=lambda: losses.MasKD(weighted=False, student_masks=True)),
    "ND, centers": replace(ROWS["ND"], make=lambda: losses.ND(torch.eye(10_000, 8))),
    "OFD, batchmean": replace(ROWS["OFD"], make=lambda: losses.OFD(reduction="batchmean")),
    "RKD, angle": replace(ROWS["RKD"], make=lambda: losses.RKD(distance=0)),
    "WKDF, grid": replace(ROWS["WKDF"], make=lambda: losses.WKDF(grid=3, bottleneck=2)),
}
HARD = (
    *("plus and minus 10000", "plus and minus 10000, float16", "zero, float16", "constant", "one dead map, float16"),
    *("one sample, one pixel, two classes, float16", "10000 classes, plus and minus 10000"),
)


@pytest.mark.parametrize(("variant", "condition"), drawn(product(VARIANTS, HARD), 130))
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


OF_ALL = [*((condition, "bare") for condition in HARD), *((c, "term") for c in ("float32", "bfloat16", "float16"))]
FURTHER = [(name, condition, "bare") for name in losses.__all__ for condition in CONDITIONS if condition not in HARD]
CASES = [(name, *pair) for name in losses.__all__ for pair in OF_ALL] + drawn(FURTHER, len(FURTHER) // 3)


@pytest.mark.parametrize(("name", "condition", "through"), CASES)
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


# What these teach themselves moves with them, but is no way for gradients: the recorded ones are right.
TEACH_THEMSELVES = ("BYOT", "ONE")


@pytest.mark.parametrize("name", [name for name in losses.__all__ if name not in (*TEACH_THEMSELVES, *MOVING)])
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
