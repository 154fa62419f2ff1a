"""Loss cases of the methods that compare features, boundaries, gradients and decoupled logits."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from oracle.case import Case
from oracle.computed import Computed, Inputs
from oracle.renamed import renamed
from oracle.toy_network import toys
from potstill.losses import AB, AFD, BSS, CD, DIST, DKD, FT, KD, OFD, VID, LwM, ReviewKD, Sobolev
from potstill.losses.bss import attack_classes, base_samples, boundary_attack
from potstill.losses.ft import Paraphraser, factor_loss
from potstill.losses.ofd import batch_margin, bn_margin
from potstill.losses.reviewkd import hierarchical_loss


def loaded(loss: nn.Module, state: Inputs, *maps: Tensor) -> nn.Module:
    """The loss, built for these maps, with the recorded weights."""
    loss.build(*(m.detach() for m in maps))
    missing, _ = loss.load_state_dict(state, strict=False)
    assert all(name.endswith("num_batches_tracked") for name in missing)
    return loss


def ab(case: Case, x: Inputs, state: Inputs) -> Computed:
    settings = case.settings
    if "fm_s" in x:
        return Computed(AB(settings["margin"])(x["fm_s"], x["fm_t"]))
    zoo = "lambda_kd" in settings
    loss = AB(settings["margin"], reduction="mean" if zoo else "batchmean")
    stages = sorted(name[1:] for name in x if name.startswith("s"))
    losses = [loss(x[f"s{i}"], x[f"t{i}"]) for i in stages]
    if zoo:
        return Computed(sum(losses) / settings["divide_by"] * settings["lambda_kd"])
    n = len(losses)
    return Computed(sum(0.003 * 2.0 ** (i - n + 1) * value for i, value in enumerate(losses)))


def ofd(case: Case, x: Inputs, state: Inputs) -> Computed:
    settings = case.settings
    if "stage_weights" in settings:
        return ofd_stages(case, x, state)
    loss = ofd_loss(x["fm_s"], x["fm_t"], state)
    loss.train(settings.get("bn_mode", "train") == "train")
    value = loss(x["fm_s"], x["fm_t"]) / settings.get("divide_by", 1)
    return Computed(value, {"margin": batch_margin(x["fm_t"])}, loss)


def ofd_loss(student: Tensor, teacher: Tensor, state: Inputs) -> OFD:
    given = "bn_before_relu_weight" in state
    margin = bn_margin(state["bn_before_relu_weight"], state["bn_before_relu_bias"]) if given else None
    if margin is not None and "margin" in state:
        torch.testing.assert_close(margin.view_as(state["margin"]), state.pop("margin"), rtol=1e-5, atol=1e-6)
    connector = {name: value for name, value in state.items() if name.startswith("connector.")}
    loss = OFD(margin, reduction="batchmean" if given else "mean")
    loss.build(student.detach(), teacher)
    loss.load_state_dict(connector, strict=False)
    return loss


def ofd_stages(case: Case, x: Inputs, state: Inputs) -> Computed:
    losses, total = nn.ModuleDict(), torch.zeros(())
    for name in sorted(name for name in x if name.startswith("s")):
        stage, student, teacher = f"stage{name[1:]}", x[name], x[f"t{name[1:]}"]
        own = {key.removeprefix(f"{stage}."): value for key, value in state.items() if key.startswith(f"{stage}.")}
        losses[stage] = ofd_loss(student, teacher, own)
        total = total / 2 + losses[stage](student, teacher)  # each earlier stage weighs half of the next
    return Computed(total / case.settings["divide_by"], module=losses)


def ft(case: Case, x: Inputs, state: Inputs) -> Computed:
    settings = case.settings
    if "factor_s" in x:
        return Computed(factor_loss(x["factor_s"], x["factor_t"], settings.get("p1"), settings.get("p2", 1)))
    paraphraser = Paraphraser(settings["k"], settings["use_bn"])
    if "decoder.deconv1.weight" in state:
        loss = loaded(paraphraser, state, x["fm_t"])
        # Its value and what it compares, without moving the running statistics twice.
        outputs: dict[str, Tensor] = {}
        loss.encoder.register_forward_hook(lambda _, args, output: outputs.update(factor=output))
        loss.decoder.register_forward_hook(lambda _, args, output: outputs.update(reconstruction=output))
        return Computed(loss(x["fm_t"]), outputs, loss)
    teacher = x["factor_t"].new_zeros(1, settings["in_channels_t"], *x["factor_t"].shape[2:])
    paraphraser.build(teacher)
    translator = FT(paraphraser, batch_norm=settings["use_bn"])
    translator.build(x["fm_s"].detach(), teacher)
    translator.load_state_dict(state, strict=False)
    factor = translator.encoder(x["fm_s"])
    return Computed(factor_loss(factor, x["factor_t"]), {"factor_s": factor}, translator)


def vid(case: Case, x: Inputs, state: Inputs) -> Computed:
    loss = loaded(VID(case.settings.get("init_var", 5.0), case.settings["eps"]), state, x["fm_s"], x["fm_t"])
    outputs: dict[str, Tensor] = {}
    loss.regressor.register_forward_hook(lambda _, args, output: outputs.update(pred_mean=output))
    return Computed(loss(x["fm_s"], x["fm_t"]), outputs, loss)


def afd(case: Case, x: Inputs, state: Inputs) -> Computed:
    loss = loaded(AFD(case.settings["att_f"], case.settings["eps"]), state, x["fm_s"], x["fm_t"])
    return Computed(loss(x["fm_s"], x["fm_t"]), module=loss)


def cd(case: Case, x: Inputs, state: Inputs) -> Computed:
    if "fm_s" not in x:
        return Computed(sum(CD()(x[name], x[f"t{name[1:]}"]) for name in x if name.startswith("s")))
    loss = loaded(CD(connector=bool(state)), state, x["fm_s"], x["fm_t"])
    loss.train(case.settings.get("bn_mode", "train") == "train")
    outputs: dict[str, Tensor] = {}
    loss.connector.register_forward_hook(lambda _, args, output: outputs.update(connected=output))
    return Computed(loss(x["fm_s"], x["fm_t"]), outputs, loss)


def reviewkd(case: Case, x: Inputs, state: Inputs) -> Computed:
    if "fusion" in case.settings:
        return reviewkd_fusions(case, x, state)
    if "fm_s" in x:
        return Computed(hierarchical_loss(x["fm_s"], x["fm_t"]))
    return Computed(sum(hierarchical_loss(x[name], x[f"t{name[1:]}"]) for name in x if name.startswith("s")))


def reviewkd_fusions(case: Case, x: Inputs, state: Inputs) -> Computed:
    settings = case.settings
    student, teacher = (tuple(x[f"{who}{i}"] for i in range(len(x) // 2)) for who in ("s", "t"))
    loss = ReviewKD(channels=settings["mid"])
    loss.build(tuple(maps.detach() for maps in student), teacher)
    parts: dict[str, nn.Module] = {}
    for i, fusion in enumerate(loss.fusions):
        for name, layers in (("conv1", fusion.enter), ("conv2", fusion.leave)):
            parts |= {f"fusion.{i}.{name}.conv": layers[0], f"fusion.{i}.{name}.bn": layers[1]}
        if fusion.weigh is not None:
            parts[f"fusion.{i}.attention"] = fusion.weigh[0]
    fusions = renamed(parts)
    fusions.load_state_dict(state, strict=False)
    loss.train(settings["bn_mode"] == "train")
    return Computed(settings["weight"] * loss(student, teacher), module=fusions)


def dkd(case: Case, x: Inputs, state: Inputs) -> Computed:
    settings = case.settings
    loss = DKD(settings["alpha"], settings["beta"], settings["T"], standardize=case["method"] == "logit_std")
    return Computed(loss(x["student"], x["teacher"], x["labels"]))


def logit_std(case: Case, x: Inputs, state: Inputs) -> Computed:
    if "alpha" in case.settings:
        return dkd(case, x, state)
    return Computed(KD(case.settings["T"], standardize=True)(x["student"], x["teacher"]))


def dist(case: Case, x: Inputs, state: Inputs) -> Computed:
    settings = case.settings
    return Computed(DIST(settings["beta"], settings["gamma"], settings.get("tau", 1.0))(x["student"], x["teacher"]))


def sobolev(case: Case, x: Inputs, state: Inputs) -> Computed:
    networks, images = toys(state), x["img"].requires_grad_()
    logits = {f"logits_{name[0]}": network(images) for name, network in networks.items()}
    return Computed(Sobolev()(logits["logits_s"], logits["logits_t"], x["target"], images), logits, networks)


def lwm(case: Case, x: Inputs, state: Inputs) -> Computed:
    networks, images = toys(state), x["img"].requires_grad_()
    logits = {f"logits_{name[0]}": network(images) for name, network in networks.items()}
    maps = [network.maps for network in networks.values()]
    loss = LwM("map" if case.settings["map"].startswith("feature map") else "gradient")
    return Computed(loss(*maps, logits["logits_s"], logits["logits_t"], x["target"]), logits, networks)


def bss(case: Case, x: Inputs, state: Inputs) -> Computed:
    settings, networks = case.settings, toys(state)
    how = {"steps": settings["num_steps"], "step_size": settings["step_alpha"], "limit": settings["clamp"]}
    images = boundary_attack(networks["teacher"], x["img"], x["target"], x["attack_class"], eps=settings["eps"], **how)
    student, teacher = networks["student"](images), networks["teacher"](images).detach()
    outputs = {"attacked_img": images, "attacked_logits_s": student, "attacked_logits_t": teacher}
    outputs["teacher_pred_after"] = teacher.argmax(dim=1)
    return Computed(BSS(settings["T"])(student, teacher), outputs, networks)


def bss_selection(case: Case) -> dict[str, Tensor]:
    """The samples that are attacked, and towards which classes."""
    x, settings = case.tensors("tensors"), case.settings
    logits = x["logits_s"], x["logits_t"], x["labels"]
    temperature = settings["softmax_temperature"]
    selected = base_samples(*logits, settings["attack_size"], temperature)
    return {
        "candidates": base_samples(*logits, len(x["labels"]), temperature),
        "selected": selected,
        "attack_class": attack_classes(x["logits_t"][selected], x["uniform"]),
    }


LOSSES: dict[str, Callable[[Case, Inputs, Inputs], Computed]] = {
    "ab": ab,
    "afd": afd,
    "bss": bss,
    "cd": cd,
    "dist": dist,
    "dkd": dkd,
    "ft": ft,
    "logit_std": logit_std,
    "lwm": lwm,
    "ofd": ofd,
    "reviewkd": reviewkd,
    "sobolev": sobolev,
    "vid": vid,
}
SELECTIONS: dict[str, Callable[[Case], dict[str, Tensor]]] = {"bss": bss_selection}
