"""Every method by its name alone: stopped and gone on with, its teacher as it was, its student a plain network."""

import json
import shlex
import sys

import pytest
import torch
from drawn import drawn
from recipes.going_on import same, state_of, stop_in_the_second_epoch

import potstill as ps
from potstill import recipes
from potstill.catalogue import cards
from potstill.cli import main
from potstill.engine.checkpoint import fingerprint

SHORT = "--data digits --images 96 --test-images 32 --epochs 2 --batch-size 32 --lr 0.001 --device cpu"
PAIR = "--student resnet8 --teacher {t}"
NETWORKS = {"distill": PAIR, "supervised": "--network resnet8", "native-ensemble": "--network resnet8 --branches 2"}
BY_NAME = {card.name: f"{card.run} {NETWORKS[card.run.split()[0]]}" for card in cards()}
OTHERS = {  # what is no loss: recipes, further images, grafts, an optimiser
    "AB": f"two-stage {PAIR} --first-epochs 1",
    "BSS with its attack": f"boundary {PAIR} --attack-from 0",
    "CD+GKD+EDT": f"channel {PAIR}",
    "CS-KD": "supervised --network resnet8 --terms CE 'KD on student=student@pair'",
    "DML": "mutual --networks resnet8 resnet8",
    "DOT": f"distill {PAIR} --optimizer dot",
    "FCFD with its mixed paths": f"mixed-paths {PAIR} --ramp 1",
    "KD++": f"class-means {PAIR} --ramp 1",
    "FT with its paraphraser": f"factor-transfer {PAIR} --paraphraser-epochs 1",
    "backbone": "embed --student resnet8 --teachers {t} --loss queue",
    "MasKD with its masks": f"masked {PAIR} --mask-epochs 1",
    "MLKD with its strong view": f"distill {PAIR}"
    " --terms '0.1 * CE' '0.1 * CE on student@strong' '0.9 * MLKD(views=2)'",
    "Moonshine": "moonshine --teacher {t} --conv DConv",
    "Rocket": "rocket --light wrn-10-1 --booster wrn-16-1 --teacher {t}",
    "NORM": "distill --student resnet8^2x64^resnet8@stage3 --teacher {t}"
    " --terms 'NORMLogits(ce=0.1)' 'steps([0.1, 1], [1]) * NORM on bridge.expand=stage3'",
    "SimKD": "distill --student resnet8^2^{t}@stage3 --teacher {t} --freeze scion"
    " --terms 'SimKD(transfer=False) on bridge=stage3'",
    "TAKD": "chain --networks resnet8 resnet8 --teacher {t}",
}
WORDS = BY_NAME | OTHERS
CASES = drawn([(name, precision) for name in WORDS for precision in ("fp32", "bf16")], 4)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    out = tmp_path_factory.mktemp("teacher") / "run"
    assert main(shlex.split(f"supervised --network resnet14 {SHORT} --seed 7 --out {out}")) == 0
    return out


@pytest.fixture
def teachers(monkeypatch):
    """The frozen networks of every run of the test, with what they were before it."""
    seen, fit = [], ps.fit

    def watched(distiller, *given, **options):
        seen.extend((net, fingerprint(net)) for name, net in distiller.networks.items() if name in distiller.teachers)
        return fit(distiller, *given, **options)

    monkeypatch.setattr(ps, "fit", watched)
    return seen


def plain(run, learner, folder, monkeypatch):
    """The exported network, loaded by its file where there is no potstill."""
    out = folder / "student.safetensors"
    assert main(["export", f"{run}:{learner}", "--to", "safetensors", "--no-latency", "--out", str(out)]) == 0
    (loader,) = folder.glob("load_*.py")
    with monkeypatch.context() as patch:
        for name in [name for name in sys.modules if name.split(".")[0] == "potstill"]:
            patch.setitem(sys.modules, name, None)
        names = {"__name__": "loader", "__file__": str(loader)}
        exec(compile(loader.read_text(), str(loader), "exec"), names)
    return names["network"]


@pytest.mark.parametrize(("name", "precision"), CASES)
def test_a_method_trains_goes_on_and_leaves_a_plain_student(name, precision, tmp_path, teacher, teachers, monkeypatch):
    words = WORDS[name]
    command = shlex.split(f"{words.format(t=teacher)} {SHORT} --precision {precision}")
    assert main([*command, "--out", str(tmp_path / "whole")]) == 0
    with monkeypatch.context() as patch:
        stop_in_the_second_epoch(patch)
        assert main([*command, "--out", str(tmp_path / "run")]) == 130
    assert main([*command, "--out", str(tmp_path / "run")]) == 0

    assert same(state_of(tmp_path / "whole"), state_of(tmp_path / "run"))
    assert all(fingerprint(network) == before for network, before in teachers)
    assert not any(module.training for network, _ in teachers for module in network.modules())
    assert bool(teachers) == ("{t}" in words)

    records = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert all(abs(value) < float("inf") for record in records for value in record["terms"].values())
    learner = next(iter(records[-1]["learners"]))
    images = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    ours = ps.networks.create(f"{tmp_path / 'run'}:{learner}", 0 if name == "backbone" else 10).eval()
    with torch.no_grad():
        torch.testing.assert_close(plain(tmp_path / "run", learner, tmp_path, monkeypatch)(images), ours(images))


def test_every_recipe_is_tried():
    tried = {words.split()[0].replace("-", "_") for words in WORDS.values()}
    assert tried == {*recipes.__all__}
