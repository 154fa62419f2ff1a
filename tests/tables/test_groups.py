"""``table --side-by-side``: the same runs as one by one, in fewer processes."""

import shutil
from pathlib import Path

import pytest
from drawn import by_hand

from potstill import tables
from potstill.commands.table import table
from potstill.errors import BadInput
from potstill.runs.manifest import read
from potstill.tables.row import Row, Table
from potstill.tables.sweep import Sweep

SMALL = {"data": "digits", "images": 128, "test_images": 40, "batch_size": 64}


def rows(budget):
    training = {**SMALL, "epochs": budget.epochs}
    return [
        Row("teacher", "supervised", {"network": "resnet14"}, training),
        Row("kd", "distill", {"student": "resnet8", "terms": ("CE", "KD")}, training, "teacher"),
        Row("at", "distill", {"student": "wrn-10-1", "terms": ("CE", "100 * AT on stages")}, training, "teacher"),
        Row("broken", "distill", {"student": "resnet8", "terms": ("CE", "KD")}, {**training, "lr": 1e30}, "teacher"),
    ]


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr(tables, "__all__", [*tables.__all__, "tiny"])
    monkeypatch.setattr(tables, "tiny", Table("A tiny table.", "Nobody", "digits", "SGD", 2, rows), raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def weights(folder: Path, row: str) -> list[object]:
    return [
        read(folder / row / "seed-0")["files"][name] for name in ("student.safetensors", "student-best.safetensors")
    ]


@by_hand
def test_the_same_bits_and_a_gap_where_a_run_failed(tiny, tmp_path):
    together = table("tiny", seeds=1, out=tmp_path / "together", device="cpu", sweep=Sweep(side_by_side=3))
    shutil.copytree(tmp_path / "together" / "teacher", tmp_path / "apart" / "teacher")
    apart = table("tiny", seeds=1, out=tmp_path / "apart", device="cpu", only="[ka]*")
    assert apart["failed"] == {}
    assert list(together["failed"]) == ["broken seed 0"]
    assert "is not finite" in together["failed"]["broken seed 0"]
    for row in ("kd", "at"):
        assert weights(tmp_path / "together", row) == weights(tmp_path / "apart", row)
    assert len(list((tmp_path / "together").rglob("*.side-by-side.log"))) == 1


def test_what_runs_one_by_one_anyway(tiny):
    with pytest.raises(BadInput, match="--side-by-side 2: slurm runs one run a process"):
        Sweep(side_by_side=2, via=("slurm",))
