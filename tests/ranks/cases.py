"""A few steps of every loss in float64, by one process or by one of several: the same batches, and what came out."""

import torch

import potstill as ps
from potstill import losses
from potstill.engine.epoch import train_epoch
from potstill.engine.optimizer import make_optimizer
from potstill.engine.place import Place
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
    "AB": ["AB(reduction='batchmean')"],
}
WIDE = {"AB", "AFD", "OFD", "FitNet", "ReviewKD", "VID", "CD"}  # whose connectors have batch norm
CASES = [text for name in losses.__all__ for text in STRINGS.get(name, [name])]
ROWS = (7, 3)  # of each step's batch: neither is a multiple of the processes, of which there may be more than rows


def batches():
    """Digits, in float64."""
    data = ps.data.load("digits")
    whole = next(iter(data.train))
    found, start = [], 0
    for rows in ROWS:
        part = {key: value[start : start + rows] if value.dim() else value for key, value in whole.items()}
        found.append({**part, "images": part["images"].double()})
        start += rows
    return found


def trained(text, world=None, sync_bn=True):
    """What a term's training gives: values, gradients summed up in momentum, weights and banks."""
    torch.manual_seed(0)
    name = text.partition("(")[0]
    networks = {
        "student": ps.networks.create("resnet8", seed=1).double(),
        "teacher": ps.freeze(ps.networks.create("resnet8x4" if name in WIDE else "resnet8", seed=2).double()),
    }
    data = ps.data.from_loaders(batches(), classes=10)
    terms = ["CE", text] if name != "CE" else [text]
    distiller = ps.Distiller(networks, ps.terms(terms, networks), data.example())
    training = Training(epochs=1, lr=0.01, sync_bn=sync_bn, device="cpu")
    optimizer = make_optimizer(distiller, training)
    if world is not None:
        distiller.team = Team(world, distiller, data, training)
        data = distiller.team.data
    torch.manual_seed(3)
    place, progress = Place(), Unseen(1, None, 0)
    train_epoch(distiller, data.train, optimizer, 0, training, progress, place=place)
    momenta = [optimizer.state[p].get("momentum_buffer") for g in optimizer.param_groups for p in g["params"]]
    found = {f"weight {key}": value for key, value in networks["student"].state_dict().items()}
    found |= {f"loss {key}": value for key, value in distiller.losses.state_dict().items()}
    found |= {f"momentum {i}": value for i, value in enumerate(momenta) if value is not None}
    return found | {"values": place.meter.sums}


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
