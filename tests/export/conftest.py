import json
from pathlib import Path

import pytest
from safetensors.torch import save_file

import potstill as ps
from potstill.networks import create

OWN = """
import torch
from torch import nn


class Own(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 8, 3), nn.Linear(8, classes)

    def forward(self, images):
        return self.fc(self.conv(images).relu().mean((2, 3)))


class Branching(Own):
    def forward(self, images):
        logits = super().forward(images)
        return logits if logits.mean() > 0 else 2 * logits


class OfThree(Own):
    def forward(self, images):
        return super().forward(images).reshape(3, -1)


class Deceiver(Own):
    def forward(self, images):
        logits = super().forward(images)
        return logits + 0.01 if torch.compiler.is_exporting() else logits


class Counting(Own):
    def __init__(self, classes):
        super().__init__(classes)
        self.register_buffer("loads", torch.tensor(0))
        self.register_load_state_dict_post_hook(Counting.count)

    def count(self, keys):
        self.loads += 1


class Forgetful(Own):
    def __init__(self, classes):
        super().__init__(classes)
        self.register_buffer("offset", torch.randn(classes), persistent=False)

    def forward(self, images):
        return super().forward(images) + self.offset
"""


@pytest.fixture(autouse=True)
def _trusted():
    """Runs that are written by hand are signed by nobody."""
    with ps.trusted():
        yield


@pytest.fixture(scope="session")
def own(tmp_path_factory):
    """A user's own file of networks."""
    file = tmp_path_factory.mktemp("own") / "my own.py"
    file.write_text(OWN)
    return file


@pytest.fixture(scope="session")
def made_run():
    """Writes an unfinished run on the digits, of fresh learners; ``others`` are entries of networks without weights."""

    def write(folder: Path, learners: dict[str, str], **others: dict) -> Path:
        folder.mkdir(parents=True)
        networks = {name: {"spec": spec, "classes": 10} for name, spec in learners.items()} | others
        config = {"recipe": "supervised", "arguments": {"data": "digits", "data_dir": None}, "networks": networks}
        config |= {"versions": {}, "device": "cpu"}
        (folder / "config.json").write_text(json.dumps(config))
        for seed, (name, spec) in enumerate(learners.items()):
            for epoch, file in enumerate((f"{name}.safetensors", f"{name}-best.safetensors")):
                save_file(create(spec, seed=2 * seed + epoch).state_dict(), folder / file)
        return folder

    return write


@pytest.fixture(scope="session")
def runs(tmp_path_factory, made_run):
    """A folder of runs: a Moonshine student and its teacher, a rocket, two peers, and one of a lone learner."""
    folder = tmp_path_factory.mktemp("runs")
    made_run(folder / "moonshine", {"student": "resnet8+DConv"}, teacher={"spec": "resnet8", "classes": 10})
    made_run(folder / "rocket", {"light": "wrn-10-1", "booster": "wrn-16-1"})
    made_run(folder / "mutual", {"a": "resnet8", "b": "resnet8"})
    made_run(folder / "lone", {"net": "resnet8"})
    return folder
