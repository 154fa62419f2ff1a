"""A small run of a user's own network, with every file that a run folder may hold."""

import shutil
from pathlib import Path

import pytest

import potstill as ps
from potstill.recipes import distill

NET = """
from torch import nn
from blocks import Block

def net(num_classes):
    from lazy import WIDTH
    return Block(WIDTH, num_classes)

class Mine(nn.Module):
    def forward(self, logits, others):
        return nn.functional.mse_loss(logits, others)
"""
BLOCKS = """
from torch import nn

class Block(nn.Module):
    def __init__(self, width, classes):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, width, 3), nn.Linear(width, classes)

    def forward(self, images):
        return self.fc(self.conv(images).relu().mean((2, 3)))
"""
FILES = {"net.py": NET, "blocks.py": BLOCKS, "lazy.py": "WIDTH = 4\n"}


@pytest.fixture(scope="session")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder: a network and a loss in one file, which imports its neighbours."""
    folder = tmp_path_factory.mktemp("code")
    for name, text in FILES.items():
        (folder / name).write_text(text)
    return folder


def train(code: Path, out: Path, epochs: int = 2) -> ps.Training:
    """Distil a teacher's run, of one epoch, into the user's network."""
    small = ps.Training("digits", images=60, test_images=20, batch_size=30, epochs=1, device="cpu")
    teacher = out.with_name(f"{out.name}-teacher")
    ps.recipes.supervised(network="resnet8", training=small, out=teacher, seed=1)
    training = ps.Training("digits", images=60, test_images=20, batch_size=30, epochs=epochs, device="cpu", out=out)
    own = f"{code / 'net.py'}"
    distill(student=f"{own}:net", teacher=str(teacher), terms=(f"{own}:Mine",), training=training)
    return training


@pytest.fixture(scope="session")
def own_runs(code: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run ``run`` and that of its teacher."""
    folder = tmp_path_factory.mktemp("own-runs")
    train(code, folder / "run")
    return folder


@pytest.fixture
def own_run(own_runs: Path, tmp_path: Path) -> Path:
    """A copy of that run, to be damaged."""
    return Path(shutil.copytree(own_runs / "run", tmp_path / "run"))
