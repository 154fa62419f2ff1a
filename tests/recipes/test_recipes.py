import inspect
import json
from dataclasses import replace

import pytest
import torch

import potstill as ps
from potstill import recipes
from potstill.engine.checkpoint import fingerprint
from potstill.recipes import (
    boundary,
    chain,
    channel,
    class_means,
    distill,
    factor_transfer,
    masked,
    mixed_paths,
    moonshine,
    rocket,
    supervised,
    two_stage,
)
from potstill.training import Training

SHORT = Training(data="digits", epochs=2, batch_size=100, lr=0.05)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    out = tmp_path_factory.mktemp("teacher") / "run"
    supervised(network="resnet8", training=replace(SHORT, seed=7, out=out))
    return out


def prints(folder, *names):
    return [fingerprint(ps.networks.create(f"{folder}:{name}")) for name in names]


def terms_of(folder):
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return json.loads(lines[-1])["terms"]


def test_supervised(tmp_path):
    summary = supervised(network="resnet8", training=replace(SHORT, out=tmp_path / "run"))
    assert list(summary["learners"]) == ["student"]
    assert summary["learners"]["student"]["parameters"] == ps.networks.cost.parameters(ps.networks.create("resnet8"))


def test_supervised_from_given_weights(tmp_path, teacher):
    weights = teacher / "student.safetensors"
    training = replace(SHORT, epochs=1, lr=1e-9, weight_decay=0, out=tmp_path / "run")
    summary = supervised(network="resnet8", weights=weights, training=training)
    trained = json.loads((teacher / "summary.json").read_text())
    last = [s["learners"]["student"]["last"]["test"]["top1"] for s in (summary, trained)]
    assert last[0] == pytest.approx(last[1], abs=10)  # only the batch norms' statistics have moved


TERMS = ("CE", "0.9 * KD(temperature=2)", "100 * AT on stages", "FitNet on stage2=stage3")


@pytest.mark.parametrize(
    ("recipe", "arguments"),
    [
        (boundary, {"student": "resnet8", "warmup": 0}),
        (chain, {"networks": ("resnet8", "resnet8")}),
        (channel, {"student": "resnet8"}),
        (distill, {"student": "resnet8", "terms": TERMS}),
        (class_means, {"student": "resnet8"}),
        (factor_transfer, {"student": "resnet8", "paraphraser_epochs": 1}),
        (masked, {"student": "resnet8", "mask_epochs": 1}),
        (mixed_paths, {"student": "resnet8"}),
        (moonshine, {"conv": "DConv", "alpha": 0.5, "beta": 10}),
        (rocket, {"light": "wrn-10-1", "booster": "wrn-16-1"}),
        (two_stage, {"student": "resnet8", "first_epochs": 1}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_the_teacher_is_bit_identical_after_every_recipe(recipe, arguments, tmp_path, teacher, monkeypatch):
    frozen = []
    create = ps.networks.create

    def watched(spec, *rest, **options):
        network = create(spec, *rest, **options)
        if spec == str(teacher):
            frozen.append((network, fingerprint(network)))
        return network

    monkeypatch.setattr(ps.networks, "create", watched)
    summary = recipe(teacher=str(teacher), training=replace(SHORT, out=tmp_path / "run"), **arguments)
    ((network, before),) = frozen
    assert fingerprint(network) == before
    assert not any(module.training for module in network.modules())
    assert summary["teachers"]["teacher"]["top1"] > 0


def test_every_recipe_with_a_teacher_is_tested_so():
    with_teacher = {
        name for name in recipes.__all__ if "teacher" in inspect.signature(getattr(recipes, name)).parameters
    }
    (tested,) = (mark.args[1] for mark in test_the_teacher_is_bit_identical_after_every_recipe.pytestmark)
    assert {recipe.__name__ for recipe, _ in tested} == with_teacher


def test_distill_names_its_terms(tmp_path, teacher):
    distill(student="resnet8", teacher=str(teacher), terms=TERMS, training=replace(SHORT, epochs=1, out=tmp_path / "r"))
    stages = [f"AT student.stage{i}" for i in (1, 2, 3)]
    assert list(terms_of(tmp_path / "r")) == ["CE student", "KD student", *stages, "FitNet student.stage2"]


def test_distill_with_weight_zero_is_supervised_bit_for_bit(tmp_path, teacher):
    supervised(network="resnet8", training=replace(SHORT, out=tmp_path / "alone"))
    terms = ("CE", "0 * KD", "0 * FitNet(regressor=True) on stages")
    distill(student="resnet8", teacher=str(teacher), terms=terms, training=replace(SHORT, out=tmp_path / "zero"))
    assert prints(tmp_path / "alone", "student") == prints(tmp_path / "zero", "student")


def test_rocket_shares_and_each_network_alone_repeats_what_was_measured(tmp_path):
    out = tmp_path / "run"
    summary = rocket(light="wrn-10-1", booster="wrn-16-1", training=replace(SHORT, out=out))
    data = SHORT.load_data()
    for name in ("light", "booster"):
        network = ps.networks.create(f"{out}:{name}")
        assert ps.evaluate(network, data.test) == summary["learners"][name]["last"]["test"]
    light, booster = (ps.networks.create(f"{out}:{name}") for name in ("light", "booster"))
    assert torch.equal(light.block1[0].conv1.weight, booster.block1[0].conv1.weight)
    assert not torch.equal(light.block1[0].bn1.weight, booster.block1[0].bn1.weight)


def test_every_switch_of_rocket_changes_the_result(tmp_path, teacher):
    ways = {
        "default": {},
        "no-block": {"gradient_block": False},
        "no-sharing": {"share": "none"},
        "gamma": {"gamma": 0.3},
        "teacher": {"teacher": str(teacher)},
    }
    results = {}
    for name, way in ways.items():
        training = replace(SHORT, epochs=1, out=tmp_path / name)
        rocket(light="wrn-10-1", booster="wrn-16-1", training=training, **way)
        results[name] = tuple(prints(tmp_path / name, "light", "booster"))
    assert len(set(results.values())) == len(ways)


@pytest.mark.parametrize("gradient_block", [True, False])
def test_the_gradient_block_is_real(gradient_block, monkeypatch):
    """With it, the hint's gradient does not reach the booster's own weights; without, it does."""
    caught = []
    monkeypatch.setattr(ps, "fit", lambda distiller, *rest: caught.append(distiller) or {}, raising=False)
    training = replace(SHORT, batch_size=20)
    rocket(light="wrn-10-1", booster="wrn-16-1", share="none", gradient_block=gradient_block, training=training)
    distiller = caught[0]
    hint = next(i for i, term in enumerate(distiller.terms) if term.name == "hint")
    distiller.active = [hint]
    distiller(training.load_data().example())[0].backward()
    light, booster = (distiller.networks[name] for name in ("light", "booster"))
    assert light.fc.weight.grad is not None
    assert (booster.fc.weight.grad is None) == gradient_block


def test_students_of_all_recipes_start_alike(monkeypatch, teacher):
    """The same seed gives the same first weights, whatever else a recipe builds."""
    caught = []
    monkeypatch.setattr(ps, "fit", lambda distiller, *rest: caught.append(distiller) or {}, raising=False)
    supervised(network="wrn-10-1", training=SHORT)
    distill(student="wrn-10-1", teacher=str(teacher), training=SHORT)
    rocket(light="wrn-10-1", booster="wrn-16-1", share="none", training=SHORT)
    students = [d.networks["student" if "student" in d.networks else "light"] for d in caught]
    assert len({fingerprint(student) for student in students}) == 1
