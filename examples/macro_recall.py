"""Another number at the head of the summary: the mean of the classes' recalls, for classes of unequal sizes."""

from collections.abc import Iterable
from pathlib import Path

import torch

import potstill as ps


def macro_recall(network: torch.nn.Module, batches: Iterable[dict[str, torch.Tensor]]) -> dict[str, float]:
    """The first number heads the summary and chooses the best epoch; more is better."""
    network.eval()
    with torch.no_grad():
        pairs = [(network(batch["images"]).argmax(1), batch["labels"]) for batch in batches]
    network.train()
    predicted, labels = (torch.cat(column) for column in zip(*pairs, strict=True))
    recalls = [(predicted[labels == label] == label).float().mean() for label in labels.unique()]
    return {"macro_recall": 100 * float(torch.stack(recalls).mean()), "worst_recall": 100 * float(min(recalls))}


def main(out: Path = Path("runs/macro-recall")) -> dict:
    training = ps.Training(data="digits", epochs=2, lr=0.05, out=out)
    data = training.load_data()
    student = ps.networks.create("resnet8", classes=10, seed=0)
    distiller = ps.Distiller({"student": student}, [ps.Term(ps.losses.CE(), "student", "labels")], data.example())
    return ps.fit(distiller, data, training, measure=macro_recall)


if __name__ == "__main__":
    print(main()["learners"]["student"]["last"]["test"])
