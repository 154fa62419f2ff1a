"""What is run: every recipe, in a second or less."""

from dataclasses import dataclass
from pathlib import Path

OWN = '''
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader, TensorDataset

import potstill as ps


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(48, 16), nn.ReLU(), nn.Dropout(0.3))
        self.fc = nn.Linear(16, 4)

    def forward(self, images):
        return self.fc(self.body(images))


def jitter(batch):
    return {**batch, "images": batch["images"] + 0.1 * torch.randn_like(batch["images"])}


def main(*, processes: int = 0, training: ps.Training = ps.Training()) -> dict:
    """A loop of one's own loader, averaged weights, dropout, a transform."""
    generator = torch.Generator().manual_seed(1)
    images, labels = torch.randn(64, 3, 4, 4, generator=generator), torch.arange(64) % 4
    train = DataLoader(TensorDataset(images, labels), batch_size=12, shuffle=True, num_workers=processes)
    data = ps.data.from_loaders(train, [(images[:16], labels[:16])], classes=4)
    torch.manual_seed(training.seed)
    networks = {"student": Net()}
    distiller = ps.Distiller(networks, ps.terms(["CE"], networks), data.example())
    average = AveragedModel(networks["student"])

    def after_step(distiller):
        average.update_parameters(distiller.networks["student"])

    after_step.state_dict, after_step.load_state_dict = average.state_dict, average.load_state_dict
    return ps.fit(distiller, data, training, transforms=[jitter], after_step=after_step)
'''
TABLE = """
from torch import nn
from potstill import tables
from potstill.tables.row import Row, Table

def linear(classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, classes))

def rows(budget):
    net = __file__ + ":linear"
    training = {"data": "digits", "epochs": budget.epochs, "batch_size": 50, "images": 400, "lr": 0.05, "decay": 1.0}
    student = {"student": net, "terms": ("0.5 * CE", "0.5 * KD(temperature=4)")}
    teacher = Row("teacher", "supervised", {"network": net}, training)
    return [teacher, Row("kd", "distill", student, training, "teacher")]

tables.crashing = Table("A tiny table.", "Nobody", "digits", "SGD", 20, rows)
tables.__all__.append("crashing")
"""
SHORT = "--epochs 2 --batch-size 16 --lr 0.05 --device cpu"
DIGITS = f"--data digits --images 48 --test-images 24 {SHORT}"
FILES = f"--data {{pictures}} --image-size 8 {SHORT}"
TEACHER = "--student resnet8 --teacher {teacher}"


@dataclass(frozen=True)
class Scenario:
    """A command, but for its --out."""

    name: str
    line: str

    def words(self, inputs: dict[str, Path], out: Path) -> list[str]:
        """The command line."""
        return [*self.line.format(**inputs).split(), "--out", str(out), "--json"]


SCENARIOS = [
    Scenario("supervised, saved every step", f"supervised --network resnet8 --save-every 1e-9 {DIGITS}"),
    Scenario("distill, a memory bank", f"distill {TEACHER} --terms CE 0.1*CRD(negatives=8)_on_pooled {DIGITS}"),
    Scenario("mutual, in turns", f"mutual --networks resnet8 resnet8 --alternate --save-every 1e-9 {DIGITS}"),
    Scenario("two-stage", f"two-stage {TEACHER} --first-epochs 1 {DIGITS}"),
    Scenario("own recipe", f"run {{own}} --processes 0 --save-every 1e-9 {SHORT}"),
    Scenario("files", f"supervised --network resnet8 --workers 0 --save-every 1e-9 {FILES}"),
    Scenario("files, workers", f"supervised --network resnet8 --workers 2 {FILES}"),
    Scenario("supervised", f"supervised --network resnet8 {DIGITS}"),
    Scenario("supervised, adamw, held out", f"supervised --network resnet8 --optimizer adamw --holdout 10 {DIGITS}"),
    Scenario("distill", f"distill {TEACHER} {DIGITS}"),
    Scenario("mutual", f"mutual --networks resnet8 resnet8 {DIGITS}"),
    Scenario("rocket", f"rocket --light wrn-10-1 --booster wrn-16-1 {DIGITS}"),
    Scenario("factor-transfer", f"factor-transfer {TEACHER} --paraphraser-epochs 1 --save-every 1e-9 {DIGITS}"),
    Scenario("channel", f"channel {TEACHER} {DIGITS}"),
    Scenario("boundary", f"boundary {TEACHER} --attack-from 0 {DIGITS}"),
    Scenario("moonshine", f"moonshine --teacher {{wide}} --conv G4B2 {DIGITS}"),
    Scenario("own recipe, workers", f"run {{own}} --processes 2 {SHORT}"),
]
"""The first ones differ most in what they keep and how they read."""


def make_inputs(folder: Path, run) -> dict[str, Path]:
    """What the commands need: two teachers (trained by ``run``), pictures, a file with a recipe."""
    import numpy as np
    from PIL import Image

    inputs = {name: folder / name for name in ("teacher", "wide", "pictures")} | {"own": folder / "own.py"}
    inputs["table"] = folder / "table.py"
    inputs["table"].write_text(TABLE)
    inputs["own"].write_text(OWN)
    noise = np.random.default_rng(0)
    for split, count in (("train", 11), ("val", 3)):  # 33 images: the last batch of 16 would be of one
        for channel, name in enumerate(("red", "green", "blue")):
            (inputs["pictures"] / split / name).mkdir(parents=True)
            for number in range(count):
                pixels = noise.integers(100, size=(12, 10, 3), dtype=np.uint8)
                pixels[..., channel] += 150
                Image.fromarray(pixels).save(inputs["pictures"] / split / name / f"{number}.png")
    for name, network in (("teacher", "resnet8"), ("wide", "wrn-10-1")):
        run(f"supervised --network {network} --seed 7 {DIGITS} --out {inputs[name]}".split())
    return inputs
