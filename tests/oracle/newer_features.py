"""Newer methods that compare features: each case is computed from its settings, never by its name."""

from collections.abc import Callable, Iterator
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from oracle.case import Case
from oracle.computed import Computed, Inputs
from oracle.relation_cases import numbered
from potstill.losses import (
    CATKD,
    CE,
    CWD,
    FCFD,
    ICKD,
    KD,
    MGD,
    NORM,
    PAD,
    PKD,
    SRD,
    SRRL,
    WKDF,
    DiffKD,
    MasKD,
    NORMLogits,
    SemCKD,
    SimKD,
    TaT,
    ViTKD,
    VkD,
)
from potstill.losses.maskd import Masks
from potstill.networks.bridges import Expansion
from potstill.schedules import warmup


def maps_of(x: Inputs) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """The maps ``s1``, ``s2``, ... and ``t1``, ``t2``, ..."""
    return tuple(numbered(x, "s")), tuple(numbered(x, "t"))


def made(loss: nn.Module, case: Case, state: Inputs, *inputs: Any) -> nn.Module:
    """The loss, built for these inputs, with the recorded weights and in the recorded mode of batch norm."""
    built = tuple(tuple(t.detach() for t in part) if isinstance(part, tuple) else part.detach() for part in inputs)
    loss.build(*built)
    missing, _ = loss.load_state_dict(state, strict=False)
    assert all(name.endswith("num_batches_tracked") for name in missing), missing
    return loss.train(case.settings.get("bn_mode", "train") == "train")


def noted(module: nn.Module, outputs: Inputs, name: str) -> None:
    """Have ``outputs`` hold what the module returns."""
    module.register_forward_hook(lambda _, args, output: outputs.update({name: output}))


class Renamed(nn.Module):
    """A module whose parameters and buffers have their recorded names, which ``spell`` makes of its own."""

    def __init__(self, module: nn.Module, spell: Callable[[str], str]) -> None:
        super().__init__()
        self.module, self.spell = module, spell

    def load(self, state: Inputs) -> None:
        own = {name: state.pop(self.spell(name), None) for name in self.module.state_dict()}
        assert not state, state.keys()
        assert all("num_batches" in name for name, value in own.items() if value is None)
        self.module.load_state_dict({name: value for name, value in own.items() if value is not None}, strict=False)

    def named_parameters(self, *args: Any, **named: Any) -> Iterator[tuple[str, nn.Parameter]]:
        return ((self.spell(name), value) for name, value in self.module.named_parameters())

    def state_dict(self, *args: Any, **named: Any) -> Inputs:
        return {self.spell(name): value for name, value in self.module.state_dict().items()}


def simkd(case: Case, x: Inputs, state: Inputs) -> Computed:
    weight, bias = state.pop("classifier.weight"), state.pop("classifier.bias")
    loss = made(SimKD(case.settings["factor"]), case, state, x["fm_s"], x["fm_t"])
    outputs: Inputs = {}
    noted(loss.transfer, outputs, "connected")
    value = loss(x["fm_s"], x["fm_t"])
    outputs["pred_s"] = F.linear(outputs["connected"].mean(dim=(2, 3)), weight, bias)
    return Computed(value, outputs, loss)


def semckd(case: Case, x: Inputs, state: Inputs) -> Computed:
    settings, (student, teacher) = case.settings, maps_of(x)
    loss = made(SemCKD(settings["batch"], settings["factor"], settings["soft"]), case, state, student, teacher)
    return Computed(loss(student, teacher), {"attention": loss.attention(student, teacher)}, loss)


def srrl(case: Case, x: Inputs, state: Inputs) -> Computed:
    classifier = state.pop("classifier.weight"), state.pop("classifier.bias")
    features = [x[f"feat_{i}"] if case.settings["variant"] == "pooled" else x[f"fm_{i}"] for i in ("s", "t")]
    inputs = (*features, x["logits_t"], *classifier)
    loss = made(SRRL(case.settings.get("weight", 1.0)), case, state, *inputs)
    outputs: Inputs = {}
    noted(loss.connector, outputs, "connected")
    value = loss(*inputs)
    outputs["connected"] = outputs["connected"].mean(dim=(2, 3))
    outputs["pred_s"] = F.linear(outputs["connected"], *classifier)
    return Computed(value, outputs, loss)


def catkd(case: Case, x: Inputs, state: Inputs) -> Computed:
    settings = case.settings
    # The reference keeps one class fewer than it is told (QUIRKS 4.1).
    kept = settings["classes"] - 1 if "classes" in settings else None
    loss = CATKD(settings["resolution"], settings["normalize"], settings.get("binarize", False), kept)
    return Computed(settings["weight"] * loss(x["cam_s"], x["cam_t"], x.get("logits_t")))


def ickd(case: Case, x: Inputs, state: Inputs) -> Computed:
    settings = case.settings
    reduction = {"channels * batch": "batchmean", "channels * batch * batch": "batchmean / batch"}
    loss = ICKD(settings["kernel"], reduction[settings["divide_by"]])
    loss = made(loss, case, state, x["fm_s"], x["fm_t"])
    return Computed(settings.get("weight", 1.0) * loss(x["fm_s"], x["fm_t"]), module=loss)


def cwd(case: Case, x: Inputs, state: Inputs) -> Computed:
    settings = case.settings
    over = settings["softmax_over"].split()[0].replace("none", "nothing")
    return Computed(CWD(settings["T"], over, settings["divergence"])(x["fm_s"], x["fm_t"]))


def mgd(case: Case, x: Inputs, state: Inputs) -> Computed:
    settings = case.settings
    loss = made(MGD(settings["ratio"], f"{settings['mask_over']}s"), case, state, x["fm_s"], x["fm_t"])
    smallest_fall = {"u < ratio": True, "u > 1 - ratio": False}[settings["zero_where"]]
    loss.draw = lambda maps: x["uniform"] if smallest_fall else 1 - x["uniform"]
    return Computed(settings["weight"] * loss(x["fm_s"], x["fm_t"]), module=loss)


def pkd(case: Case, x: Inputs, state: Inputs) -> Computed:
    settings = case.settings
    loss = PKD(resize="student" if settings["resize_student"] else "teacher")
    pairs = [(x["fm_s"], x["fm_t"])] if "fm_s" in x else zip(*maps_of(x), strict=True)
    return Computed(settings["weight"] * sum(loss(*pair) for pair in pairs))


def vkd(case: Case, x: Inputs, state: Inputs) -> Computed:
    loss, tokens = VkD(), x["tokens_s"].transpose(1, 2).unsqueeze(3)
    loss.build(tokens.detach(), x["fm_t"])
    # Gradients were recorded of the matrix, not of what keeps it orthogonal, and in float64 it is not quite.
    weight = state["projector.weight"]
    loss.projector = nn.Linear(*weight.shape[::-1], bias=False).to(weight)
    loss.load_state_dict(state)
    return Computed(case.settings["weight"] * loss(tokens, x["fm_t"]), module=loss)


def srd(case: Case, x: Inputs, state: Inputs) -> Computed:
    settings, student, teacher = case.settings, (x["fm_s"], x["student"]), (x["fm_t"], x["teacher"])
    loss = made(SRD(settings["exponent"], settings["T"], settings["eps"]), case, state, student, teacher)
    return Computed(loss(student, teacher), module=loss)


def pad(case: Case, x: Inputs, state: Inputs) -> Computed:
    loss = made(PAD(case.settings["eps"]), case, state, x["feat_s"], x["feat_t"])
    return Computed(loss(x["feat_s"], x["feat_t"]), module=loss)


def wkd_f(case: Case, x: Inputs, state: Inputs) -> Computed:
    settings = case.settings
    middle = len(state["projector.conv1.weight"]) if settings["projector"] == "bottleneck" else None
    loss = WKDF(settings["ratio"], settings["grid"], middle, settings["eps"])
    loss, outputs = made(loss, case, state, x["fm_s"], x["fm_t"]), {}
    noted(loss.projector, outputs, "projected")
    return Computed(settings["weight"] * loss(x["fm_s"], x["fm_t"]), outputs, loss)


def vitkd(case: Case, x: Inputs, state: Inputs) -> Computed:
    settings, side = case.settings, int(x["high_s"].shape[1] ** 0.5)
    student, teacher = (
        tuple(t.transpose(1, 2).unflatten(2, (side, side)) for t in (*x[f"low_{i}"].unbind(dim=1), x[f"high_{i}"]))
        for i in ("s", "t")
    )
    loss = made(ViTKD(settings["alpha"], settings["beta"], settings["ratio"]), case, state, student, teacher)
    loss.draw = lambda maps: x["uniform"]
    return Computed(loss(student, teacher), module=loss)


def tat(case: Case, x: Inputs, state: Inputs) -> Computed:
    loss = made(TaT(case.settings["heads"]), case, state, x["fm_s"], x["fm_t"])
    return Computed(loss(x["fm_s"], x["fm_t"]), module=loss)


def maskd(case: Case, x: Inputs, state: Inputs) -> Computed:
    settings = case.settings
    masks = loaded_masks(Masks(settings["tokens"], settings["weighted"]), state, x["fm_t"])
    if "fm_s" not in x:
        return Computed(masks.overlap(x["fm_t"]), {"masked": masks(x["fm_t"])}, masks)
    loss = MasKD(masks, student_masks=settings["student_masks"])
    loss.build(x["fm_s"].detach(), x["fm_t"])
    return Computed(loss(x["fm_s"], x["fm_t"]), module=loss)


def loaded_masks(masks: Masks, state: Inputs, maps: Tensor) -> Masks:
    masks.build(maps)
    masks.load_state_dict(state)
    return masks


def fcfd(case: Case, x: Inputs, state: Inputs) -> Computed:
    settings, (student, teacher) = case.settings, maps_of(x)
    appearance = made(FCFD(), case, state, student, teacher)
    weight = settings["weight_l2"] * warmup(1.0, epochs=20)(settings["epoch"])
    function = KD(settings["T"])
    logits = [x["student"], *numbered(x, "mixed")]
    assert len(logits) == 1 + settings["mixed_paths"]
    total = CE()(x["student"], x["labels"]) + sum(function(one, x["teacher"]) for one in logits)
    return Computed(total + weight * appearance(student, teacher), module=appearance)


def norm(case: Case, x: Inputs, state: Inputs) -> Computed:
    settings = case.settings
    if "labels" in x:
        loss = NORMLogits(settings["gamma"], settings["alpha"], settings["scale"], settings["T"])
        return Computed(loss(x["student"], x["teacher"], x["labels"]))
    channels, width = x["fm_s"].shape[1], x["fm_t"].shape[1]
    expansion = Expansion(channels, width, settings["N"]).to(x["fm_s"])
    expansion.load_state_dict(state, strict=False)
    expansion.train(settings["bn_mode"] == "train")
    outputs: Inputs = {}
    noted(expansion.expand, outputs, "expanded")
    restored = expansion(x["fm_s"])
    return Computed(settings["weight"] * NORM()(outputs["expanded"], x["fm_t"]), {"restored": restored}, expansion)


def diffkd(case: Case, x: Inputs, state: Inputs) -> Computed:
    settings = case.settings
    flat = settings["kernel"] == 1
    student, teacher = (x[name].flatten(1) if flat else x[name] for name in ("fm_s", "fm_t"))
    loss = DiffKD(settings.get("autoencoder"), settings["steps"], settings.get("T", 1.0))
    loss.build(student.detach(), teacher)
    recorded = Renamed(loss, lambda name: diffkd_name(name, flat))
    recorded.load(state)
    loss.draw = lambda maps: (x["noise_start"], x["noise_train"], x["steps"])
    outputs: Inputs = {}
    noted(loss.project, outputs, "refined")
    return Computed(loss(student, teacher), outputs, recorded)


def diffkd_name(name: str, flat: bool) -> str:
    name = name.replace("denoiser.layers.", "denoiser.")
    return name.replace("adapter.block.", "adapter.") if flat else name


LOSSES: dict[str, Callable[[Case, Inputs, Inputs], Computed]] = {
    "catkd": catkd,
    "cwd": cwd,
    "diffkd": diffkd,
    "fcfd": fcfd,
    "ickd": ickd,
    "maskd": maskd,
    "mgd": mgd,
    "norm": norm,
    "pad": pad,
    "pkd": pkd,
    "semckd": semckd,
    "simkd": simkd,
    "srd": srd,
    "srrl": srrl,
    "tat": tat,
    "vitkd": vitkd,
    "vkd": vkd,
    "wkd_f": wkd_f,
}
RECORDS: dict[str, Callable[[Case], None]] = {}
