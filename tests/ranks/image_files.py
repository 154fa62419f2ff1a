"""Images in files as one process sees and learns them, or one of several: run by each of those."""

import sys
from pathlib import Path

import torch

import potstill as ps
from potstill.engine.epoch import train_epoch
from potstill.engine.optimizer import make_optimizer
from potstill.engine.place import Place
from potstill.engine.transforms import Transforms
from potstill.ranks.onlooker import Unseen
from potstill.ranks.slices import Sliced
from potstill.ranks.team import Team
from potstill.ranks.world import join
from potstill.training import Training

BATCH, EPOCHS = 5, 2


def load(folder, workers=0):
    return ps.data.load(str(folder), batch_size=BATCH, image_size=16, workers=workers)


def seen(batches, first=0):
    """What is seen of each step of two epochs: of several processes, the rows that count, and how many all have."""
    found = []
    for epoch in range(EPOCHS):
        batches.set_epoch(epoch)
        for batch in batches.from_batch(first):
            counts = getattr(batches, "counts", [len(batch["index"])])
            own = counts[batches.world.rank] if isinstance(batches, Sliced) else counts[0]
            assert len(batch["index"]) == max(1, own)
            rows = {key: batch[key][:own].clone() for key in ("images", "labels", "index", "view")}
            found.append({**rows, "counts": torch.tensor(counts)})
    return found


def in_float64(batch):
    return {**batch, "images": batch["images"].double()}


def learned(data, world=None):
    """Weights, statistics and values after two epochs of a small network, in float64."""
    training = Training(epochs=EPOCHS, lr=0.01, batch_size=BATCH, sync_bn=True, device="cpu")
    student = ps.networks.create("resnet8", len(data.classes), seed=1).double()
    networks = {"student": student}
    distiller = ps.Distiller(networks, ps.terms(["CE"], networks), in_float64(data.example()))
    optimizer, changes = make_optimizer(distiller, training), Transforms([in_float64], 0)
    if world is not None:
        distiller.team = Team(world, distiller, data, training)
        data = distiller.team.data
    found = {}
    for epoch in range(EPOCHS):
        place = Place()
        train_epoch(distiller, data.train, optimizer, epoch, training, Unseen(1, None, 0), changes, place=place)
        found[f"values {epoch}"] = place.meter.sums
    return found | distiller.state_dict()


if __name__ == "__main__":
    folder, out = map(Path, sys.argv[1:])
    world = join()
    assert world is not None
    given = load(folder)
    result = {"seen": seen(Sliced(given.train, world)), "later": seen(Sliced(given.train, world), 1)}
    torch.save({**result, "learned": learned(given, world)}, out.with_suffix(f".{world.rank}"))
