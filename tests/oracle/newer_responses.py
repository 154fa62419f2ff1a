"""Newer methods that compare what networks answer: each case is computed from its settings, never by its name."""

import math
import re
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from oracle.case import Case
from oracle.computed import Computed, Inputs
from potstill.losses import (
    BKD,
    CTKD,
    DKD,
    KD,
    KDCL,
    MLKD,
    NKD,
    OFA,
    RLD,
    SDD,
    SKD,
    TTM,
    USKD,
    WKDL,
    WSLD,
    DISTPlus,
    FunctionMatching,
    LabelSmoothing,
    TfKD,
)
from potstill.losses.ctkd import at_temperatures
from potstill.losses.dist_plus import channel_correlation
from potstill.losses.function_matching import agreement
from potstill.losses.kdcl import least_logits
from potstill.losses.wkd_l import class_costs
from potstill.schedules import late_cosine


def nkd(case: Case, x: Inputs, state: Inputs) -> Computed:
    loss = NKD(case.settings["gamma"], case.settings["T"])
    return Computed(loss(x["student"], x["teacher"], x["labels"]))


def uskd(case: Case, x: Inputs, state: Inputs) -> Computed:
    settings = case.settings
    loss = USKD(settings["alpha"], settings["beta"], settings["mu"], settings["smoothing"])
    student = x["weak"], x["student"]
    loss.build((student[0].detach(), student[1].detach()), x["labels"])
    loss.load_state_dict(state)
    return Computed(loss(student, x["labels"]), module=loss)


def wsld(case: Case, x: Inputs, state: Inputs) -> Computed:
    settings = case.settings
    soft = settings["alpha"] * WSLD(settings["T"], settings["eps"])(x["student"], x["teacher"], x["labels"])
    return Computed(soft + F.cross_entropy(x["student"], x["labels"]) if settings["with_ce"] else soft)


def ctkd(case: Case, x: Inputs, state: Inputs) -> Computed:
    settings = case.settings
    if settings.get("per_sample"):
        return Computed(at_temperatures(x["student"], x["teacher"], x["temperature"]))
    loss = CTKD(
        settings["t_start"],
        settings["t_end"],
        strength=-settings["lambda"] + 0.0,
        epochs=0,
        decoupled="alpha" in settings,
        alpha=settings.get("alpha", 1.0),
        beta=settings.get("beta", 1.0),
        standardize=settings.get("logit_standardisation", False),
    )
    loss.build(x["student"].detach())
    loss.load_state_dict(state)
    inputs = [x[name] for name in ("student", "teacher", "labels") if name in x]
    return Computed(loss(*inputs), {"temperature": loss.learned_temperature()[None]}, loss)


def mlkd(case: Case, x: Inputs, state: Inputs) -> Computed:
    settings = case.settings
    assert settings["extra_T"] == [3.0, 5.0, 2.0, 6.0]
    views = [view for view in ("weak", "strong") if f"student_{view}" in x]
    loss = MLKD(settings["T"], views=len(views), standardize=settings["logit_standardisation"])
    student, teacher = ([x[f"{name}_{view}"] for view in views] for name in ("student", "teacher"))
    parts = loss.parts(tuple(student), tuple(teacher))
    ce = settings["ce_weight"] * sum(F.cross_entropy(logits, x["labels"]) for logits in student)
    kd, cc, bc = (settings["kd_weight"] * part for part in parts)
    torch.testing.assert_close(loss(tuple(student), tuple(teacher)), sum(parts))
    return Computed(ce + kd + cc + bc, {"loss_ce": ce, "loss_kd": kd, "loss_cc": cc, "loss_bc": bc})


def ttm(case: Case, x: Inputs, state: Inputs) -> Computed:
    return Computed(TTM(case.settings["gamma"], weighted=case["method"] == "wttm")(x["student"], x["teacher"]))


def from_labels_too(case: Case, x: Inputs, kd: Tensor, alpha: float) -> Computed:
    return Computed((1 - alpha) * F.cross_entropy(x["student"], x["labels"]) + alpha * kd)


def tfkd_self(case: Case, x: Inputs, state: Inputs) -> Computed:
    settings = case.settings
    kd = settings["multiplier"] * KD(settings["T"], settings["reduction"])(x["student"], x["teacher"])
    return from_labels_too(case, x, kd, settings["alpha"])


def tfkd_reg(case: Case, x: Inputs, state: Inputs) -> Computed:
    settings = case.settings
    loss = TfKD(settings["T"], settings["correct_prob"], settings["reduction"])
    return from_labels_too(case, x, settings["multiplier"] * loss(x["student"], x["labels"]), settings["alpha"])


def takd(case: Case, x: Inputs, state: Inputs) -> Computed:
    settings = case.settings
    kd = KD(settings["T"], settings["reduction"])(x["student"], x["teacher"])
    return from_labels_too(case, x, kd, settings["lambda"])


def label_smoothing(case: Case, x: Inputs, state: Inputs) -> Computed:
    spread = "others" if "other classes" in case.settings["spread"] else "all"
    return Computed(LabelSmoothing(case.settings["eps"], spread)(x["student"], x["labels"]))


def rld(case: Case, x: Inputs, state: Inputs) -> Computed:
    settings = case.settings
    names = ("alpha", "beta", "T", "alpha_T", "logit_standardisation")
    return Computed(RLD(*(settings[name] for name in names))(x["student"], x["teacher"], x["labels"]))


def sdd(case: Case, x: Inputs, state: Inputs) -> Computed:
    settings = case.settings
    alpha, beta = settings.get("alpha", 1.0), settings.get("beta", settings.get("gamma", 1.0))
    base = {"sdd_kd": "KD", "sdd_dkd": "DKD", "sdd_nkd": "NKD"}[case["method"]]
    loss = SDD(base, settings["T"], settings["scales"], alpha, beta)
    if "student" in x:
        return Computed(loss(x["student"], x["teacher"], x["labels"]))
    student, teacher = ((x[f"map_{n}"], x[f"weight_{n}"], x[f"bias_{n}"]) for n in ("s", "t"))
    regions = {"regional_s": loss.regions(student), "regional_t": loss.regions(teacher)}
    return Computed(loss(student, teacher, x["labels"]), regions)


def wkd_l(case: Case, x: Inputs, state: Inputs) -> Computed:
    settings = case.settings
    how = {
        "temperature": settings["T"],
        "entropy": settings["lambda"],
        "iterations": settings["iterations"],
        "sharpen": settings["sharpen"],
        "cost": x.get("cost"),
    }
    inputs = [x["student"], x["teacher"], x["labels"], *([x["teacher_weight"]] if "teacher_weight" in x else [])]
    if "epoch" not in settings:
        return Computed(WKDL(beta=settings["gamma"], **how)(*inputs))
    # As two terms, of which one decays.
    weight = late_cosine(settings["gamma"], settings["decay_start"], settings["epochs"])(settings["epoch"] - 1)
    target, distance = WKDL(beta=0, **how)(*inputs), WKDL(alpha=0, beta=1, **how)
    total = F.cross_entropy(x["student"], x["labels"]) + target + weight * distance(*inputs)
    return Computed(total, {"cost": distance.costs(x["teacher_weight"])})


def ofa(case: Case, x: Inputs, state: Inputs) -> Computed:
    settings = case.settings
    if "stages" not in settings:
        loss = OFA(settings["eps"], settings["T"], width=1)
        return Computed(loss(x["student"], x["teacher"], x["labels"]))
    stages, eps = settings["stages"], settings["eps"]
    of_stages, of_logits = (eps[:-1], eps[-1]) if len(eps) > 1 else (eps * len(stages), eps[0])
    width = max(settings["student_width"], settings["teacher_width"])
    loss = OFA(of_stages, settings["T"], halvings=[4 - stage for stage in stages], width=width)
    maps, rest = tuple(x[f"map{stage}"] for stage in stages), (x["teacher"], x["labels"])
    loss.build(tuple(m.detach() for m in maps), *rest)
    heads = RecordedNames(loss.projector, stages)
    heads.load(state)
    gt = settings["gt_weight"] * F.cross_entropy(x["student"], x["labels"])
    kd = settings["kd_weight"] * OFA(of_logits, settings["T"], width=1)(x["student"], *rest)
    inside = settings["ofa_weight"] * loss(maps, *rest)
    return Computed(gt + kd + inside, {"loss_gt": gt, "loss_kd": kd, "loss_ofa": inside}, heads)


class RecordedNames(nn.Module):
    """Heads by the names under which they were recorded: the stage's number, and ``op`` inside of a block."""

    def __init__(self, heads: nn.ModuleList, stages: list[int]) -> None:
        super().__init__()
        self.heads, self.stages = heads, stages

    def named_parameters(self, *args: object, **named: object):
        return ((self.recorded(name), value) for name, value in self.heads.named_parameters())

    def state_dict(self, *args: object, **named: object) -> dict[str, Tensor]:
        return {self.recorded(name): value for name, value in self.heads.state_dict().items()}

    def load(self, state: Inputs) -> None:
        own = {self.recorded(name): name for name in self.heads.state_dict()}
        missing, unexpected = self.heads.load_state_dict({own[n]: value for n, value in state.items()}, strict=False)
        assert unexpected == []
        assert all(name.endswith("num_batches_tracked") for name in missing)

    def recorded(self, name: str) -> str:
        head, _, rest = name.partition(".")
        return f"projector.{self.stages[int(head)]}." + re.sub(r"^(\d+)\.(\d+)\.", r"\1.op.\2.", rest)


def deit(case: Case, x: Inputs, state: Inputs) -> Computed:
    settings = case.settings
    kd = KD(hard=True) if settings["kind"] == "hard" else KD(settings["T"], "elementmean")
    return from_labels_too(case, x, kd(x["student_dist"], x["teacher"]), settings["alpha"])


def bkd(case: Case, x: Inputs, state: Inputs) -> Computed:
    return Computed(BKD()(x["student"], x["teacher"]))


def dist_plus(case: Case, x: Inputs, state: Inputs) -> Computed:
    weights = [case.settings[name] for name in ("beta", "gamma", "iota", "kappa", "tau")]
    student, teacher = (x["fm_s"], x["student"]), (x["fm_t"], x["teacher"])
    if "sane" in case.entry:  # what the class gives by itself
        sane = DISTPlus(*weights)(student, teacher).item()
        assert math.isclose(sane, case["sane"]["loss"], rel_tol=case["tolerance"]["loss_rtol"])
    outputs = {"channel_correlation": channel_correlation(x["fm_s"], x["fm_t"])}
    return Computed(DISTPlus(*weights, as_ported=True)(student, teacher), outputs)


def logit_std_dkd(case: Case, x: Inputs, state: Inputs) -> Computed:
    loss = DKD(case.settings["alpha"], case.settings["beta"], case.settings["T"], standardize=True)
    return Computed(loss(x["student"], x["teacher"], x["labels"]))


def funcmatch(case: Case, x: Inputs, state: Inputs) -> Computed:
    settings = case.settings
    loss = FunctionMatching(settings["kind"], settings.get("t", 1.0), settings.get("ls", 0.0))
    return Computed(loss(x["student"], x["teacher"]))


def skd(case: Case, x: Inputs, state: Inputs) -> Computed:
    settings = case.settings
    loss = SKD(settings["instance_weight"], settings["direction_weight"], settings["T"], settings["tikhonov"])
    # What a weight of 0 leaves out is recorded too.
    instance, direction = SKD(1, 1, settings["T"], settings["tikhonov"]).parts(x["student"], x["teacher"])
    return Computed(loss(x["student"], x["teacher"]), {"instance": instance, "direction": direction})


def kdcl(case: Case, x: Inputs, state: Inputs) -> Computed:
    settings = case.settings
    nets = [x[f"net{i + 1}"] for i in range(settings["networks"])]
    loss, total = KDCL(settings["T"]), torch.zeros(())
    for i, net in enumerate(nets):
        others = tuple(other.detach() for j, other in enumerate(nets) if j != i)
        kd = settings["lambda"] * loss(net, others, x["labels"])
        total = total + F.cross_entropy(net, x["labels"]) + kd
    return Computed(total, {"target": least_logits(nets, x["labels"])})


def wkd_cost(case: Case) -> None:
    cost = class_costs(case.record("in")["features"])
    expect(case, cost, case.record("out")["cost"])


def funcmatch_agreement(case: Case) -> None:
    networks = case.tensors("tensors")
    for name, expected in case.record("out").items():
        agreed = agreement(networks["student"], networks["teacher"], int(name.removeprefix("k")))
        assert agreed.tolist() == expected.tolist(), name


def ctkd_steps(case: Case) -> None:
    """Steps of SGD on a linear student and the temperature, in double precision."""
    settings, given, batches = case.settings, case.record("init", torch.float64), case.record("in", torch.float64)
    student = nn.Linear(*reversed(given["student.weight"].shape)).double()
    loss = CTKD(settings["t_start"], settings["t_end"])
    loss.build(torch.zeros((), dtype=torch.float64))
    student.load_state_dict({name: given[f"student.{name}"] for name in ("weight", "bias")})
    loss.load_state_dict({"raw_temperature": given["raw_temperature"]})
    optimizer = torch.optim.SGD(
        [*student.parameters(), *loss.parameters()],
        settings["lr"],
        momentum=settings["momentum"],
        weight_decay=settings["weight_decay"],
        nesterov=settings["nesterov"],
    )
    for step, reversal in enumerate(settings["lambda"], start=1):
        logits = student(batches[f"features_step{step}"])
        # Which epoch it is, by the strength that the curriculum has then.
        epoch = torch.tensor(10 * math.acos(1 + 2 * reversal) / math.pi - 1, dtype=torch.float64)
        kd = loss(logits, batches[f"teacher_step{step}"], epoch)
        ce = F.cross_entropy(logits, batches[f"labels_step{step}"])
        total = settings["ce_weight"] * ce + settings["kd_weight"] * kd
        assert math.isclose(total.item(), case["values"]["losses_float64"][step - 1], rel_tol=1e-7), step
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        raw = case["values"]["raw_temperature_after_each_step_float64"][step - 1]
        assert math.isclose(loss.raw_temperature.item(), raw, rel_tol=1e-7), step
    for name, expected in case.record("out").items():
        found = loss.raw_temperature if name == "raw_temperature" else getattr(student, name.removeprefix("student."))
        expect(case, found.detach().float(), expected)


def expect(case: Case, found: Tensor, expected: Tensor) -> None:
    tolerance = case["tolerance"]
    torch.testing.assert_close(found, expected, rtol=tolerance.get("rtol", 0), atol=tolerance["atol"])


LOSSES: dict[str, Callable[[Case, Inputs, Inputs], Computed]] = {
    "bkd": bkd,
    "ctkd": ctkd,
    "deit": deit,
    "dist_plus": dist_plus,
    "funcmatch": funcmatch,
    "kdcl": kdcl,
    "label_smoothing": label_smoothing,
    "logit_std_dkd": logit_std_dkd,
    "mlkd": mlkd,
    "mlkd_one_view": mlkd,
    "nkd": nkd,
    "ofa": ofa,
    "rld": rld,
    "sdd_dkd": sdd,
    "sdd_kd": sdd,
    "sdd_nkd": sdd,
    "skd": skd,
    "takd": takd,
    "tfkd_reg": tfkd_reg,
    "tfkd_self": tfkd_self,
    "ttm": ttm,
    "uskd": uskd,
    "wkd_l": wkd_l,
    "wsld": wsld,
    "wttm": ttm,
}
RECORDS: dict[str, Callable[[Case], None]] = {
    "ctkd_steps": ctkd_steps,
    "funcmatch_agreement": funcmatch_agreement,
    "wkd_cost": wkd_cost,
}
