"""Mixup as a transform: a function from batch to batch, on the device. Both networks see the same mixed images."""

from pathlib import Path

import torch
import torch.nn.functional as F

import potstill as ps


def mixup(batch: dict[str, torch.Tensor], alpha: float = 0.2) -> dict[str, torch.Tensor]:
    """Zhang et al., "mixup", ICLR 2018. What is drawn depends on the seed, the epoch and the step alone."""
    share = torch.distributions.Beta(alpha, alpha).sample().to(batch["images"].device)
    images, labels = batch["images"], F.one_hot(batch["labels"], 10).float()
    order = torch.randperm(len(images), device=images.device)
    mixed = {"images": images, "labels": labels}
    return {**batch, **{key: share * value + (1 - share) * value[order] for key, value in mixed.items()}}


def main(out: Path = Path("runs/mixup")) -> dict:
    training = ps.Training(data="digits", epochs=2, lr=0.05, out=out)
    data = training.load_data()
    networks = {
        "student": ps.networks.create("resnet8", classes=10, seed=0),
        "teacher": ps.freeze(ps.networks.create("resnet14", classes=10, seed=1)),  # for real: weights=FILE
    }
    terms = [ps.Term(ps.losses.CE(), "student", "labels"), ps.Term(ps.losses.KD(), "student", "teacher")]
    distiller = ps.Distiller(networks, terms, example=data.example())
    return ps.fit(distiller, data, training, transforms=[mixup])


if __name__ == "__main__":
    print(main()["learners"]["student"]["last"]["test"])
