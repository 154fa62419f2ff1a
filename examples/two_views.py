"""A loss on two views of an image: a transform adds an entry, and `student@strong` is the student run on it."""

from pathlib import Path

import torch

import potstill as ps


def add_strong_view(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Noise and a patch of nothing, somewhere."""
    strong = batch["images"] + 0.3 * torch.randn_like(batch["images"])
    top, left = torch.randint(0, 6, (2,)).tolist()
    strong[:, :, top : top + 3, left : left + 3] = 0
    return {**batch, "strong": strong}


def main(out: Path = Path("runs/two-views")) -> dict:
    training = ps.Training(data="digits", epochs=2, lr=0.05, out=out)
    data = training.load_data()
    networks = {
        "student": ps.networks.create("resnet8", classes=10, seed=0),
        "teacher": ps.freeze(ps.networks.create("resnet14", classes=10, seed=1)),  # for real: weights=FILE
    }
    terms = [
        ps.Term(ps.losses.CE(), "student", "labels"),
        ps.Term(ps.losses.KD(), "student@strong", "teacher", name="KD of the strong view"),
        ps.Term(ps.losses.AT(), "student@strong.layer3", "student.layer3", weight=100.0, name="same attention"),
    ]
    distiller = ps.Distiller(networks, terms, example=add_strong_view(data.example()))
    return ps.fit(distiller, data, training, transforms=[add_strong_view])


if __name__ == "__main__":
    print(main()["learners"]["student"]["last"]["test"])
