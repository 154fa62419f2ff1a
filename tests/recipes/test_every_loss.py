"""Losses, by their names alone, through the command: each trains a student on digits, some in bfloat16 too."""

import json

import pytest
from drawn import drawn

from potstill import losses
from potstill.cli import main
from potstill.engine.checkpoint import fingerprint
from potstill.networks import create

WEIGHTS = {"PKT": 10000, "Sobolev": 20}  # the Knowledge-Distillation-Zoo's: their gradients are tiny
WEIGHTS |= {"MGD": 1e-3, "WKDF": 0.08, "ViTKD": 100}  # sums over maps, the last with weights of its own for ViTs


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    out = tmp_path_factory.mktemp("teacher") / "run"
    assert main(f"supervised --network resnet14 --data digits --epochs 3 --batch-size 50 --out {out}".split()) == 0
    return out


BY_NAME = [name for name in losses.__all__ if name != "ONE"]  # whose branches its own recipe makes
CASES = [*((name, "fp32") for name in drawn(BY_NAME, 8)), *((name, "bf16") for name in drawn(BY_NAME, 1))]


@pytest.mark.parametrize(("name", "precision"), CASES)
def test_the_loss_alone_goes_down_and_the_teacher_stays(name, precision, tmp_path, teacher):
    before = fingerprint(create(str(teacher)))
    words = f"distill --student resnet8 --teacher {teacher} --data digits --epochs 3 --batch-size 50 --lr 0.02"
    words += f" --precision {precision} --out {tmp_path}/run --terms"
    assert main([*words.split(), f"{WEIGHTS.get(name, 1)} * {name}"]) == 0
    records = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    *earlier, last = (sum(record["terms"].values()) for record in records)
    # CRD's loss first rises: its memory bank starts at random, and fills in the first epoch.
    assert last < max(earlier)
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["teachers"] == {"weights of teacher": before}
    assert fingerprint(create(str(teacher))) == before
