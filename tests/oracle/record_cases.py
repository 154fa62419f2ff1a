"""How the recorded networks and training runs are repeated with potstill."""

import re
import tempfile
from collections.abc import Callable

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from oracle.case import Case
from potstill.distiller import Distiller, freeze
from potstill.engine.optimizer import make_optimizer, set_learning_rate
from potstill.losses import AT, CE, KD, Logits
from potstill.networks import create, load_weights, share, substitute
from potstill.networks.spelling import SPELLINGS
from potstill.taps import Taps
from potstill.term import Term
from potstill.training import Training

State = dict[str, Tensor]
STAGES = ("stage1", "stage2", "stage3")


def load(network: nn.Module, state: State) -> None:
    """Through a file, as a user would."""
    with tempfile.TemporaryDirectory() as folder:
        save_file({name: value.contiguous() for name, value in state.items()}, f"{folder}/state.safetensors")
        load_weights(network, f"{folder}/state.safetensors")


def rocket_states(state: State, bottom: bool) -> tuple[State, State]:
    """The light net's and the booster's state out of the joint one, under our names."""
    both: tuple[State, State] = ({}, {})
    for own, (light, booster) in {name: rocket_names(name, bottom) for name in state}.items():
        for names, target in ((light, both[0]), (booster, both[1])):
            if names:
                target[names] = state[own]
    return both


def rocket_names(name: str, bottom: bool = False) -> tuple[str | None, str | None]:
    """What a tensor of the original is called in our light net and in our booster; None where it is in only one.

    The light net has the first two blocks of every group, or, with ``bottom``, the first two groups.
    """
    moved = re.sub(r"^group(\d)\.block(\d+)", lambda m: f"block{int(m[1]) + 1}.{m[2]}", name)
    moved = re.sub(r"conv(\d)$", lambda m: f"conv{int(m[1]) + 1}.weight", moved)
    moved = re.sub(r"convdim$", "shortcut.weight", moved)
    shared = "bn" not in moved and "fc" not in moved
    moved = re.sub(r"\.bn(s?)(\d)\.", lambda m: f".bn{m[1]}{int(m[2]) + 1}.", moved)
    moved = re.sub(r"^bn(s?)\.", r"bn\g<1>1.", moved)
    for_light = bool(re.search(r"bns|fcs", moved))
    plain = re.sub(r"bns", "bn", moved).replace("fcs", "fc")
    above = r"block3" if bottom else r"block\d\.[2-9]"
    in_light = (shared or for_light) and not re.match(above, moved)
    return (plain if in_light else None), (None if for_light else plain)


def zoo_resnet(case: Case, dtype: torch.dtype) -> dict[str, Tensor]:
    network = create("resnet20", case.settings["num_class"]).to(dtype).eval()
    load(network, case.record("state", dtype))
    taps = {"logits": "net", "stem": "net.stem", "feat": "net.pooled"}
    taps |= {f"stage{i}": f"net.stage{i}" for i in (1, 2, 3)} | {f"stage{i}_pre": f"net.stage{i}:pre" for i in (2, 3)}
    values = Taps(network, "net", taps.values())(case.record("in", dtype)["images"])
    return {name: values[tap] for name, tap in taps.items()}


def moonshine_network(spec: str, conv: str) -> nn.Module:
    network = create(spec)
    return network if conv == "Conv" else substitute(network, conv)


def wide_resnet(case: Case, dtype: torch.dtype) -> dict[str, Tensor]:
    settings = case.settings
    network = moonshine_network(f"wrn-{settings['depth']}-{settings['width']}", settings["conv"]).to(dtype).eval()
    load(network, case.record("state", dtype))
    taps = {"logits": "net"} | {f"group{i}": f"net.stage{i}" for i in (1, 2, 3)}
    values = Taps(network, "net", taps.values())(case.record("in", dtype)["images"])
    return {name: values[tap] for name, tap in taps.items()}


def rocket_networks(case: Case, state: State, dtype: torch.dtype) -> dict[str, nn.Module]:
    settings, bottom = case.settings, case.kind == "net_rocket_bottom"
    booster = f"wrn-{settings.get('depth', 40)}-{settings.get('width', 1)}"
    light = f"{booster}-bottom2" if bottom else f"wrn-{settings.get('student_depth', 16)}-{settings.get('width', 1)}"
    networks = {"light": create(light), "booster": create(booster)}
    share(networks["light"], networks["booster"], "bottom" if bottom else "interval")
    for network, own in zip(networks.values(), rocket_states(state, bottom), strict=True):
        load(network.to(dtype), own)
    assert networks["light"].conv1.weight is networks["booster"].conv1.weight
    return networks


def rocket_forward(case: Case, dtype: torch.dtype) -> dict[str, Tensor]:
    outputs = {}
    for name, network in rocket_networks(case, case.record("state", dtype), dtype).items():
        taps = Taps(network.eval(), name, [name, *(f"{name}.stage{i}" for i in range(1, len(network.groups) + 1))])
        values = taps(case.record("in", dtype)["images"])
        outputs |= {f"{name}_logits": values[name]}
        outputs |= {f"{name}_group{i}": values[f"{name}.stage{i + 1}"] for i in range(len(network.groups))}
    return outputs


def train_zoo(case: Case, init: State, settings: dict) -> Distiller:
    networks = {name: create("resnet20").double() for name in ("student", "teacher")}
    for name, network in networks.items():
        load(network, {k.removeprefix(f"{name}."): v for k, v in init.items() if k.startswith(name)})
    freeze(networks["teacher"])
    kd = Term(KD(settings["T"]), "student", "teacher", weight=settings["lambda_kd"], name="kd_weighted")
    return Distiller(networks, [Term(CE(), "student", "labels", name="ce"), kd], example=first_batch(case))


def train_rocket(case: Case, init: State, settings: dict) -> Distiller:
    networks = rocket_networks(case, init, torch.float64)
    block = settings["grad_block"]
    terms = [
        Term(CE(), "light", "labels", name="ce_light"),
        Term(CE(), "booster", "labels", name="ce_booster"),
        Term(Logits("batchmean"), "light", "booster", weight=settings["gamma"], both=not block, name="hint_weighted"),
    ]
    return Distiller(networks, terms, example=first_batch(case))


def train_moonshine(case: Case, init: State, settings: dict) -> Distiller:
    networks = {}
    for name, size, conv in re.findall(r"(student|teacher) WRN-(\S+) (\w+)", case["convention"]):
        networks[name] = moonshine_network(f"wrn-{size}", conv).double()
        load(networks[name], {k.removeprefix(f"{name}."): v for k, v in init.items() if k.startswith(name)})
    freeze(networks["teacher"])
    alpha, kd = settings["alpha"], KD(settings["T"], reduction="elementmean")
    terms = [
        Term(CE(), "student", "labels", weight=1 - alpha, name="ce"),
        Term(kd, "student", "teacher", weight=2 * alpha, name="kd"),
        *(Term(AT(), f"student.{s}", f"teacher.{s}", weight=settings["beta"], name=s) for s in STAGES),
    ]
    return Distiller(networks, terms, example=first_batch(case))


def moonshine_sums(terms: dict[str, float], beta: float) -> dict[str, float]:
    """What was recorded of our weighted terms; with alpha 0 there is no KD, with alpha 1 no cross-entropy."""
    attention = sum(terms[stage] for stage in STAGES) / beta
    return {
        "total": terms["total"],
        "distillation": terms.get("ce", 0) + terms.get("kd", 0),
        "attention_sum": attention,
    }


def first_batch(case: Case) -> dict[str, Tensor]:
    batches = case.record("in", torch.float64)
    return {"images": batches["images_step1"], "labels": batches["labels_step1"]}


def five_steps(case: Case, distiller: Distiller, settings: dict) -> list[dict[str, float]]:
    """Five steps of the engine's optimiser on the recorded batches: each term, weighted, before each update."""
    optimizer = make_optimizer(
        distiller,
        Training(
            optimizer="nesterov" if settings["nesterov"] else "sgd",
            lr=settings["lr"],
            momentum=settings["momentum"],
            weight_decay=settings["weight_decay"],
        ),
    )
    for group in optimizer.param_groups:  # these steps amplify the rounding of a float32 rate a thousandfold
        group["lr"] = group["lr"].double()
    set_learning_rate(optimizer, settings["lr"])
    weights = {term.name: term.weight_at(0) for term in distiller.terms}
    batches, losses = case.record("in", torch.float64), []
    for step in range(1, 6):
        total, values = distiller((batches[f"images_step{step}"], batches[f"labels_step{step}"]))
        total.backward()
        optimizer.step()
        optimizer.zero_grad()
        terms = {"total": total.item()} | {name: weights[name] * v.item() for name, v in values.items()}
        losses.append(moonshine_sums(terms, settings["beta"]) if case.kind == "train_moonshine" else terms)
    return losses


FORWARDS: dict[str, Callable[[Case, torch.dtype], dict[str, Tensor]]] = {
    "net_kdzoo_resnet20": zoo_resnet,
    "net_rocket_bottom": rocket_forward,
    "net_rocket_interval": rocket_forward,
    "net_wrn": wide_resnet,
}
TRAININGS: dict[str, Callable[[Case, State, dict], Distiller]] = {
    "train_kdzoo_st": train_zoo,
    "train_moonshine": train_moonshine,
    "train_rocket_interval": train_rocket,
}


def final_names(method: str, name: str) -> list[str]:
    """Where a tensor of the recorded final state is in our distiller's networks."""
    if method.startswith("train_rocket_interval"):
        light, booster = rocket_names(name)
        return [f"{net}.{own}" for net, own in (("light", light), ("booster", booster)) if own]
    network, _, own = name.partition(".")
    spellings = [own]
    for pattern, replacement in SPELLINGS:
        spellings.append(re.sub(pattern, replacement, spellings[-1]))
    return [f"{network}.{spelling}" for spelling in dict.fromkeys(spellings)]
