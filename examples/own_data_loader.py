"""Your own torch DataLoader in `fit`: any dataset, sampler, collate function and number of workers."""

from pathlib import Path

import torch
from torch.utils.data import DataLoader, TensorDataset

import potstill as ps
from potstill.data.digits import digits


def main(out: Path = Path("runs/own-data-loader")) -> dict:
    train, test = (TensorDataset(split.images.permute(0, 3, 1, 2).float() / 255, split.labels) for split in digits())
    data = ps.data.from_loaders(
        DataLoader(train, batch_size=64, shuffle=True, drop_last=True),
        DataLoader(test, batch_size=500),
        classes=10,
    )
    student = ps.networks.create("resnet8", classes=10, seed=0)
    terms = [ps.Term(torch.nn.functional.cross_entropy, "student", "labels")]
    distiller = ps.Distiller({"student": student}, terms, example=data.example())
    return ps.fit(distiller, data, ps.Training(epochs=2, lr=0.05, out=out))


if __name__ == "__main__":
    print(main()["learners"]["student"]["last"]["test"])
