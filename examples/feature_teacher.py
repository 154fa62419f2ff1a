"""A teacher of features only, on images without labels: nothing has classes, and no accuracy is measured."""

from pathlib import Path

import torch
from torch.utils.data import DataLoader

import potstill as ps
from potstill.data.digits import digits


class SameDirection(torch.nn.Module):
    """The student's features, projected, point where the teacher's do; `build` sees how wide both are."""

    def build(self, student: torch.Tensor, teacher: torch.Tensor) -> None:
        self.projector = torch.nn.Linear(student.shape[1], teacher.shape[1])

    def forward(self, student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
        return 1 - torch.nn.functional.cosine_similarity(self.projector(student), teacher).mean()


def main(out: Path = Path("runs/feature-teacher")) -> dict:
    images = digits()[0].images.permute(0, 3, 1, 2).float() / 255
    data = ps.data.from_loaders(DataLoader(images, batch_size=50, shuffle=True), name="digits without labels")
    backbone = ps.networks.create("resnet14", seed=1)
    backbone.fc = torch.nn.Identity()  # it returns 64 features
    networks = {"student": ps.networks.create("resnet8", seed=0), "teacher": ps.freeze(backbone)}
    terms = [ps.Term(SameDirection(), "student.pooled", "teacher")]
    distiller = ps.Distiller(networks, terms, example=data.example())
    return ps.fit(distiller, data, ps.Training(epochs=3, lr=0.05, out=out))


if __name__ == "__main__":
    print(main()["learners"]["student"])
