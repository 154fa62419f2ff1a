"""Loss cases of the methods that compare relations."""

from collections.abc import Callable

import torch
from torch import Tensor

from oracle.case import Case
from oracle.computed import Computed, Inputs
from oracle.renamed import renamed
from potstill.losses.cc import CC
from potstill.losses.crd import CRD
from potstill.losses.fsp import FSP
from potstill.losses.irg import IRG
from potstill.losses.kdsvd import KDSVD
from potstill.losses.nst import NST
from potstill.losses.pkt import PKT
from potstill.losses.rkd import RKD
from potstill.losses.sp import SP


def numbered(x: Inputs, prefix: str) -> list:
    """The inputs called ``prefix`` and a number, in order."""
    names = [name for name in x if name.startswith(prefix) and name.removeprefix(prefix).isdigit()]
    return [x[name] for name in sorted(names)]


def fsp(case: Case, x: Inputs, state: Inputs) -> Computed:
    prefix = "fm_" if "fm_s1" in x else ""
    return Computed(FSP()(numbered(x, f"{prefix}s"), numbered(x, f"{prefix}t")))


def nst(case: Case, x: Inputs, state: Inputs) -> Computed:
    return Computed(NST()(x["fm_s"], x["fm_t"]))


def pkt(case: Case, x: Inputs, state: Inputs) -> Computed:
    return Computed(PKT(case.settings["eps"])(x["feat_s"], x["feat_t"]))


def rkd(case: Case, x: Inputs, state: Inputs) -> Computed:
    return Computed(RKD(case.settings["w_dist"], case.settings["w_angle"])(x["feat_s"], x["feat_t"]))


def sp(case: Case, x: Inputs, state: Inputs) -> Computed:
    return Computed(SP()(x["fm_s"], x["fm_t"]))


def cc(case: Case, x: Inputs, state: Inputs) -> Computed:
    settings = case.settings
    # Only the correlation matrices have settings at all.
    if "gamma" in settings:
        return Computed(CC(settings["gamma"], settings["P_order"])(x["feat_s"], x["feat_t"]))
    loss = CC(kernel="neighbours", width=settings.get("width"))
    loss.build(x["feat_s"].detach(), x["feat_t"])
    embeddings = renamed({"embed_s.linear": loss.embed_s, "embed_t.linear": loss.embed_t})
    embeddings.load_state_dict(state)
    return Computed(loss(x["feat_s"], x["feat_t"]), module=embeddings)


def irg(case: Case, x: Inputs, state: Inputs) -> Computed:
    settings = case.settings
    student, teacher = ((x[f"fm_{i}1"], x[f"fm_{i}2"], x[f"feat_{i}"], x[f"out_{i}"]) for i in ("s", "t"))
    return Computed(IRG(settings["w_vert"], settings["w_edge"], settings["w_tran"])(student, teacher))


def kdsvd(case: Case, x: Inputs, state: Inputs) -> Computed:
    # The two repositories' settings are the same, and their reshaping is not.
    patterns = "columns" if case["source"]["repository"].endswith("mdistiller") else "channels"
    return Computed(KDSVD(case.settings["k"], patterns)(numbered(x, "s"), numbered(x, "t")))


def crd(case: Case, dtype: torch.dtype) -> dict[str, Tensor]:
    """Two steps with recorded rows of the memory banks, each with its backward pass."""
    x, settings = case.record("in", dtype), case.settings
    names = {"n_data": "samples", "feat_dim": "width", "negatives": "negatives"}
    names |= {name: name for name in ("temperature", "momentum", "eps")}
    loss = CRD(contrast="samples", **{own: settings[name] for name, own in names.items()})
    loss.build(x["feat_s_step1"], x["feat_t_step1"], x["idx_step1"])
    kept = loss.load_state_dict(case.record("state", dtype), strict=False)
    assert kept.missing_keys == ["log_z_s", "log_z_t"]
    assert not kept.unexpected_keys
    outputs = {}
    for step in ("step1", "step2"):
        loss.zero_grad()
        student, rows = x[f"feat_s_{step}"].requires_grad_(), x[f"contrast_idx_{step}"]
        value = loss.compare(student, x[f"feat_t_{step}"], x[f"idx_{step}"], rows[:, 0], rows[:, 1:])
        value.backward()
        gradients = {f"grad_{name}": parameter.grad for name, parameter in loss.named_parameters()}
        memories = {name: getattr(loss, name) for name in ("memory_s", "memory_t")}
        found = {"loss": value.detach(), "grad_feat_s": student.grad, **gradients, **memories}
        outputs |= {f"{step}/{name}": tensor.clone() for name, tensor in found.items()}
    return outputs | {"Z_s": loss.log_z_s.exp(), "Z_t": loss.log_z_t.exp()}


MEMORIES: dict[str, Callable[[Case, torch.dtype], dict[str, Tensor]]] = {"crd": crd}
LOSSES: dict[str, Callable[[Case, Inputs, Inputs], Computed]] = {
    "cc": cc,
    "fsp": fsp,
    "irg": irg,
    "kdsvd": kdsvd,
    "nst": nst,
    "pkt": pkt,
    "rkd": rkd,
    "sp": sp,
}
