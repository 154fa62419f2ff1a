"""A few steps of every loss in float64, by one process or by one of several: the same batches, and what came out."""

import torch
from drawn import drawn

import potstill as ps
from potstill import losses
from potstill.data.augment import Augment
from potstill.data.beside import Beside
from potstill.data.digits import digits
from potstill.data.loader import Loader
from potstill.engine.epoch import train_epoch
from potstill.engine.optimizer import make_optimizer
from potstill.engine.place import Place
from potstill.engine.transforms import Transforms
from potstill.ranks.onlooker import Unseen
from potstill.ranks.team import Team
from potstill.training import Training

STRINGS = {
    "CRD": ["CRD(negatives=16)", "CRD(negatives=16, contrast='samples', relaxed=True)", "CRD(contrast='batch')"],
    "KD": ["KD", "KD(guided=True)", "KD(standardize=True, reduction='elementmean')"],
    "CE": ["CE", "CE(reduction='sum')", "CE(label_smoothing=0.1)"],
    "OFD": ["OFD", "OFD(reduction='batchmean')"],
    "CC": ["CC", "CC(kernel='neighbours', width=8)"],
    "FitNet": ["FitNet", "FitNet(regressor=True)"],
    "CD": ["CD", "CD(connector=True)"],
    "FT": ["FT"],
    # These carry batches over, want branches, or compare the images of each process alone.
    **{name: [] for name in ("DLB", "HSAKD", "ONE", "SSKD")},
    "AB": ["AB(reduction='batchmean')"],
    "ICKD": ["ICKD(reduction='batchmean / batch')"],
    # Of what is drawn, each process draws its own: here nothing depends on it.
    "MGD": ["MGD(ratio=0)"],
    "ViTKD": ["ViTKD(ratio=1)"],
    "DiffKD": [],
    "QueueKL": ["QueueKL(queue=32)"],
    "QueuePatchKL": ["QueuePatchKL(queue=32)"],
}
WIDE = {"AB", "AFD", "AFM", "EGA", "ND", "OFD", "FitNet", "ReviewKD", "VID", "CD"}  # which then learn a connector
WIDE |= {"FCFD", "ICKD", "PAD", "SRD", "SRRL", "SemCKD", "SimKD", "TaT", "VkD", "WKDF"}
BESIDE = {"beside": (5, 3), "one label": (1, 3), "one without": (2, 1)}  # labelled rows of a step, and others
SAMPLES = "CRD(negatives=8, contrast='samples')"
FLOWS = ["a later term", "turns", "shared weights", "stages", "boundary", "boundary beside", *BESIDE]
EVERY = [text for name in losses.__all__ for text in STRINGS.get(name, [name])]
CASES = [*drawn(EVERY, 8), *FLOWS]
ROWS = (7, 3)  # of each step's batch: neither is a multiple of the processes, of which there may be more than rows
ATTACKED = 2  # images of a step at most, by "boundary"
SURE = 3  # the class that its networks see everywhere


def batches(case):
    """Digits, in float64."""
    if case == "boundary":
        return attackable(batches(None))
    if case == "boundary beside":  # of which the last images have no labels
        return [{**batch, "labels": batch["labels"][:-2]} for batch in attackable(batches(None))]
    data = ps.data.load("digits")
    whole = next(iter(data.train))
    found, start = [], 0
    for rows in ROWS:
        part = {key: value[start : start + rows] if value.dim() else value for key, value in whole.items()}
        found.append({**part, "images": part["images"].double()})
        start += rows
    return found


def attackable(found):
    """Steps with more images to attack than are wanted, with one, which not every process can have, and with none."""
    labels = [torch.tensor(row) for row in ([SURE, 0, SURE, SURE, 1, SURE, SURE], [0, 1, SURE])]
    first, second = ({**batch, "labels": own} for batch, own in zip(found, labels, strict=True))
    return [first, second, {**second, "labels": torch.tensor([0, 1, 2])}]


def data_of(case):
    """The batches, by a loader of somebody's own or by ours."""
    if case not in BESIDE:
        return ps.data.from_loaders(batches(case), classes=10)
    each, images = BESIDE[case], digits()[0]
    sets, rows = (images, images.unlabelled()), (torch.arange(2 * each[0] + 1), torch.arange(100, 108))
    same = {"mean": (0.5,) * 3, "std": (0.25,) * 3, "augment": Augment(1), "seed": 2}
    train = Beside(*(Loader(own, size, rows=some, **same) for own, size, some in zip(sets, each, rows, strict=True)))
    return ps.data.Data("beside", (*"0123456789",), (3, 8, 8), None, None, train, None, None)


def in_float64(batch):
    return {**batch, "images": batch["images"].double()}


def distillers(case, example):
    """What is trained, one after the other, and for how many epochs each."""
    name = case.partition("(")[0]
    student, other = (ps.networks.create("resnet8", seed=seed).double() for seed in (1, 3))
    teacher = ps.freeze(ps.networks.create("resnet8x4" if name in WIDE else "resnet8", seed=2).double())
    pair, peers = {"student": student, "teacher": teacher}, {"student": student, "other": other}
    if case == "a later term":
        later = ps.Term(losses.FitNet(regressor=True), "student.stage2", "teacher.stage2", weight=lambda epoch: epoch)
        yield ps.Distiller(pair, [ps.Term(losses.CE(), "student", "labels"), later], example), 2
    elif case == "turns":
        terms = [ps.Term(losses.CE(), "student", "labels"), ps.Term(losses.CE(), "other", "labels")]
        terms += [ps.Term(losses.KD(), "student", "other"), ps.Term(losses.SP(), "other.stage3", "student.stage3")]
        yield ps.Distiller(peers, terms, example, alternate=True), 1
    elif case == "shared weights":
        ps.networks.share(student, other, "interval")
        terms = [ps.Term(losses.CE(), "student", "labels"), ps.Term(losses.CE(), "other", "labels")]
        yield ps.Distiller(peers, [*terms, ps.Term(losses.Logits(), "student", "other")], example), 1
    elif case == "stages":  # what the first one does not reach has no gradient there
        yield ps.Distiller(pair, ps.terms(["FitNet(regressor=True) on stage1"], pair), example), 1
        yield ps.Distiller(pair, ps.terms(["CE"], pair), example), 1
    elif case in BESIDE:
        yield ps.Distiller(pair, ps.terms(["CE", "KD", "SP", "CRD(negatives=8)", SAMPLES], pair), example), 2
    elif case.startswith("boundary"):
        with torch.no_grad():
            for network in pair.values():
                network.fc.bias[SURE] += 2
        networks = {**pair, "attack": losses.bss.BoundaryAttack(teacher, ATTACKED)}
        attacked = ps.Term(losses.BSS(), "student@attack", "teacher@attack", weight=2.0)
        terms = [ps.Term(losses.CE(), "student", "labels"), attacked]
        inputs = {"attack": ("images", "labels", "student", "teacher")}
        yield ps.Distiller(networks, terms, example, inputs=inputs, classifiers=["student", "teacher"]), 1
    else:
        yield ps.Distiller(pair, ps.terms(["CE", case] if name != "CE" else [case], pair), example), 1


def trained(case, world=None):
    """What it gives: values, gradients summed up in momentum, weights and banks."""
    torch.manual_seed(0)
    given, changes, found = data_of(case), Transforms([in_float64], 0), {}
    for stage, (distiller, epochs) in enumerate(distillers(case, in_float64(given.example()))):
        training = Training(epochs=epochs, lr=0.01, sync_bn=True, device="cpu")
        optimizer, data = make_optimizer(distiller, training), given
        if world is not None:
            distiller.team = Team(world, distiller, given, training)
            data = distiller.team.data
        torch.manual_seed(3)
        for epoch in range(epochs):
            place, progress = Place(), Unseen(1, None, 0)
            train_epoch(distiller, data.train, optimizer, epoch, training, progress, changes, place=place)
            found[f"{stage} values {epoch}"] = place.meter.sums
        momenta = [optimizer.state[p].get("momentum_buffer") for g in optimizer.param_groups for p in g["params"]]
        found |= {f"{stage} {key}": value for key, value in distiller.state_dict().items()}
        found |= {f"{stage} momentum {i}": value for i, value in enumerate(momenta) if value is not None}
    return found


def difference(one, other):
    """The largest difference, beside the size of what is compared, and where it is."""
    assert one.keys() == other.keys(), one.keys() ^ other.keys()
    found = {}
    for key, value in one.items():
        a, b = value.double(), other[key].double()
        both = a.isfinite() & b.isfinite()
        assert torch.equal(a.isfinite(), b.isfinite()), key
        scale = a[both].abs().max().clamp(min=1e-3) if both.any() else torch.ones(())
        found[key] = float((a - b)[both].abs().max() / scale) if both.any() else 0.0
    worst = max(found, key=found.get)
    return found[worst], worst
