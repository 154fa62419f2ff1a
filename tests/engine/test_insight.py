"""What is looked at once a run is over: that it is right, and that looking changes nothing."""

import json
import math
from base64 import b64decode
from dataclasses import replace

import numpy as np
import pytest
import timm
import torch
from torch import nn

import potstill as ps
from potstill.data.digits import digits
from potstill.engine.attention import attention
from potstill.engine.checkpoint import fingerprint, random_states
from potstill.engine.costs import costs_of
from potstill.engine.insight import IMAGES, _class, insight, write_insight
from potstill.engine.measuring import Measuring
from potstill.engine.pictures import as_bytes, at_most
from potstill.errors import BadInput
from potstill.losses import CE, KD


@pytest.fixture(scope="module")
def data():
    return ps.data.load("digits", batch_size=100)


def build(data, student="wrn-10-1", teacher="resnet8", **more):
    networks = {"student": ps.networks.create(student, seed=0) if isinstance(student, str) else student}
    networks |= {name: ps.networks.create(spec, seed=5) for name, spec in more.items()}
    networks["teacher"] = ps.freeze(ps.networks.create(teacher, seed=1))
    terms = [ps.Term(CE(), name, "labels") for name in ("student", *more)] + [ps.Term(KD(), "student", "teacher")]
    return ps.Distiller(networks, terms, example=data.example())


def decoded(array):
    return np.frombuffer(b64decode(array["base64"]), np.uint8).reshape(array["shape"])


def test_agreement_is_over_every_test_image(data):
    distiller = build(data, peer="resnet8")
    found = insight(distiller, data)["agreement"]
    images = torch.cat([batch["images"] for batch in data.test])
    distiller.networks.eval()
    with torch.no_grad():
        logits = {name: network(images).double() for name, network in distiller.networks.items()}
    assert {learner: list(others) for learner, others in found.items()} == {
        "student": ["peer", "teacher"],
        "peer": ["student", "teacher"],
    }
    for learner, other in [("student", "teacher"), ("student", "peer"), ("peer", "student"), ("peer", "teacher")]:
        a, b = logits[learner].softmax(1), logits[other].softmax(1)
        same = (a.argmax(1) == b.argmax(1)).double().mean()
        divergence = (b * (b / a).log()).sum(1).mean()
        pair = found[learner][other]
        assert pair["n"] == 797
        assert pair["top1"] == pytest.approx(100 * same.item())
        assert pair["kl"] == pytest.approx(divergence.item(), rel=1e-4)


def test_the_first_images_as_they_lie_in_the_file(data):
    found = insight(build(data), data)
    _, test_set = digits()
    assert len(found["images"]) == IMAGES
    for i, image in enumerate(found["images"]):
        assert np.array_equal(decoded(image["pixels"]), test_set.images[i].numpy())
        assert image["label"] == test_set.labels[i]
        assert image["class"] == data.classes[image["label"]]


def test_predictions_and_probabilities(data):
    distiller = build(data)
    answers = insight(distiller, data)["predictions"]["teacher"]
    with torch.no_grad():
        expected = distiller.networks["teacher"](next(iter(data.test))["images"]).softmax(1)[:IMAGES].max(1)
    assert [answer["label"] for answer in answers] == expected.indices.tolist()
    assert [answer["probability"] for answer in answers] == pytest.approx(expected.values.tolist(), rel=1e-5)


def test_attention_is_the_mean_of_squares_at_each_stage(data):
    distiller = build(data)
    stages = insight(distiller, data)["attention"]["student"]
    assert {stage: found["tap"] for stage, found in stages.items()} == {f"stage{i}": f"block{i}" for i in (1, 2, 3)}
    seen = []
    student = distiller.networks["student"].eval()
    with student.block2.register_forward_hook(lambda *args: seen.append(args[2])), torch.no_grad():
        student(next(iter(data.test))["images"][:IMAGES])
    for image, one in zip(seen[0], stages["stage2"]["maps"], strict=True):
        squares = image.square().mean(0)
        expected = 255 * (squares - squares.min()) / (squares.max() - squares.min())
        assert np.abs(decoded(one) - expected.numpy()).max() <= 0.51


def test_a_network_without_aliases_gives_the_last_module_at_each_size(data):
    wide = replace(data, test=[{"images": torch.rand(6, 3, 64, 64), "labels": torch.arange(6)}])
    maps = insight(build(data, student="torchvision:resnet18"), wide)["attention"]["student"]
    assert {stage: found["tap"] for stage, found in maps.items()} == {f"stage{i}": f"layer{i}" for i in (1, 2, 3, 4)}


def test_an_alias_may_lead_to_what_flows_into_a_module(data):
    student = ps.networks.create("resnet8", seed=0)
    student.aliases = {"stage1": "layer2:in", "stage2": "layer3"}
    maps = insight(build(data, student=student), data)["attention"]["student"]
    assert {stage: found["tap"] for stage, found in maps.items()} == {"stage1": "layer2:in", "stage2": "layer3"}


def test_attention_of_tokens(data):
    student = timm.create_model("vit_tiny_patch16_224", img_size=8, patch_size=2, num_classes=10, depth=2)
    seen = []
    with student.blocks[0].register_forward_hook(lambda *args: seen.append(args[2])):
        maps = insight(build(data, student=student), data)["attention"]["student"]
    assert [found["tap"] for found in maps.values()] == ["blocks.0:map", "blocks.1:map"]
    (tokens,) = (output for output in seen if len(output) == IMAGES)
    squares = tokens[0, 1:].square().mean(1).view(4, 4)  # without the class token
    expected = 255 * (squares - squares.min()) / (squares.max() - squares.min())
    assert np.abs(decoded(maps["stage1"]["maps"][0]) - expected.numpy()).max() <= 0.51


def test_a_network_without_maps_has_none(data):
    tokens = nn.Sequential(nn.Flatten(2), nn.AdaptiveAvgPool1d(1), nn.Flatten(1), nn.Linear(3, 10))
    assert insight(build(data, student=tokens), data)["attention"]["student"] == {}


def test_large_images_stay_small(data):
    """Six images of 224 pixels and four networks of four stages are still below 150 kB."""

    def four_stages():
        stages = [nn.Conv2d(3, 3, kernel_size=1, stride=stride) for stride in (4, 2, 2, 2)]
        return nn.Sequential(*stages, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 10))

    large = replace(data, test=[{"images": torch.rand(6, 3, 224, 224), "labels": torch.arange(6)}])
    distiller = build(data, student=four_stages())
    distiller.networks.update({name: four_stages() for name in ("teacher", "a", "b")})
    found = insight(distiller, large)
    assert len(json.dumps(found)) < 150_000
    assert decoded(found["images"][0]["pixels"]).shape == (56, 56, 3)
    assert [stage["maps"][0]["shape"][0] for stage in found["attention"]["student"].values()] == [32, 28, 14, 7]


def test_looking_changes_nothing(data):
    class Noisy(nn.Module):
        """Draws random numbers even in eval mode, and has one part that is frozen in eval mode."""

        def __init__(self):
            super().__init__()
            self.body = ps.networks.create("resnet8", seed=3)
            self.body.layer1.eval()

        def forward(self, images):
            return self.body(images) + torch.rand(1)

    distiller = build(data, student=Noisy())
    hooks = {name: len(module._forward_hooks) for name, module in distiller.named_modules()}
    modes = {name: module.training for name, module in distiller.named_modules()}
    assert len(set(modes.values())) == 2
    prints, states = fingerprint(distiller), random_states()
    insight(distiller, data)
    costs_of(distiller, data)
    after = random_states()
    assert torch.equal(states["torch"], after["torch"])
    assert states["python"] == after["python"]
    assert str(states["numpy"]) == str(after["numpy"])
    assert fingerprint(distiller) == prints
    assert {name: module.training for name, module in distiller.named_modules()} == modes
    assert {name: len(module._forward_hooks) for name, module in distiller.named_modules()} == hooks
    assert all(parameter.grad is None for parameter in distiller.parameters())


def test_hooks_go_even_if_a_network_fails(data):
    distiller = build(data)
    student = distiller.networks["student"]
    hooks = len(student.block1._forward_hooks)
    broken = replace(data, test=[{"images": torch.rand(2, 4, 8, 8), "labels": torch.zeros(2, dtype=torch.long)}])
    with pytest.raises(BadInput):
        insight(distiller, broken)
    assert len(student.block1._forward_hooks) == hooks
    assert student.training


def test_networks_of_other_classes_are_not_compared(data):
    distiller = build(data)
    distiller.networks["teacher"] = ps.freeze(ps.networks.create("resnet8", classes=20, seed=1))
    found = insight(distiller, data)
    assert found["agreement"] == {"student": {}}
    assert all(math.isfinite(answer["probability"]) for answer in found["predictions"]["teacher"])


def test_the_file_beside_a_run(data, tmp_path):
    distiller = build(data)
    write_insight(tmp_path / "insight.json", distiller, data)
    assert json.loads((tmp_path / "insight.json").read_text()) == json.loads(json.dumps(insight(distiller, data)))
    assert [path.name for path in tmp_path.iterdir()] == ["insight.json"]


def test_a_compiled_network_is_looked_at_uncompiled(data):
    """Hooks and another batch size would have it compiled again, for one pass."""
    compiled = []

    def backend(graph, inputs):
        compiled.append(graph)
        return graph.forward

    distiller = build(data)
    distiller.networks["student"].compile(backend=backend)
    maps = insight(distiller, data)["attention"]["student"]
    assert costs_of(distiller, data)["student"]["macs"]
    assert len(maps) == 3
    assert compiled == []


def test_answers_to_the_test_images_are_kept_by_the_name_of_who_gave_them(tmp_path):
    data = ps.data.load("digits", images=40, test_images=20)
    networks = {"student": ps.networks.create("resnet8"), "guide": ps.freeze(ps.networks.create("resnet8", seed=1))}
    terms = [ps.Term(ps.losses.CE(), "student", "labels"), ps.Term(ps.losses.KD(), "student", "guide")]
    distiller = ps.Distiller(networks, terms, data.example(), classifiers=[*networks])
    measuring = Measuring(ps.evaluate, distiller, data, kept=tmp_path)
    measuring.teachers(lambda line: None)
    assert {name: tuple(logits.shape) for name, logits in measuring.answers.items()} == {"guide": (20, 10)}


def test_maps_of_one_column_are_maps():
    network = nn.Sequential(
        *(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.Conv2d(4, 4, 3, 1, 1), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3))
    )
    _, maps = attention(network, "student", torch.randn(2, 3, 8, 2))
    assert [[one["shape"] for one in stage["maps"]] for stage in maps.values()] == [[[4, 1]] * 2] * 2


def test_a_class_without_a_name_is_its_number():
    assert [_class(label, ("cat", "dog")) for label in (-1, 1, 2)] == ["", "dog", "2"]


def test_bytes_hold_no_more_than_they_can_and_tall_maps_are_made_smaller():
    assert list(b64decode(as_bytes(torch.tensor([[-3.0, 0.4, 254.6, 300.0]]))["base64"])) == [0, 0, 255, 255]
    assert at_most(torch.zeros(1, 1, 80, 10), 20).shape == (1, 1, 20, 2)
    assert at_most(torch.zeros(1, 1, 10, 80), 20).shape == (1, 1, 2, 20)
