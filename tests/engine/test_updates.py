"""How networks are moved: warm-up, clipping, parts of batches, groups of parameters, averages, early stopping."""

from copy import deepcopy
from dataclasses import replace

import pytest
import timm
import torch
import torchvision
from timm.optim import param_groups_layer_decay
from torch import nn

import potstill as ps
from potstill.engine.averages import Averages
from potstill.engine.depth import depths
from potstill.engine.epoch import train_step
from potstill.engine.optimizer import make_optimizer, parameter_groups, set_learning_rate, warming_up
from potstill.engine.parts import parts_of
from potstill.errors import BadInput
from potstill.training import Training

TRAINING = Training(lr=0.1, weight_decay=0.01, optimizer="sgd")


def plain():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4), nn.ReLU(), nn.Flatten(), nn.LazyLinear(3)).double()


def setting(training=TRAINING, terms=("CE", "0.5 * KD"), labels=7):
    batch = {"images": torch.randn(7, 3, 6, 6, dtype=torch.float64), "labels": torch.arange(labels) % 3}
    networks = {"student": plain(), "teacher": plain()}
    networks["teacher"](batch["images"])
    ps.freeze(networks["teacher"])
    distiller = ps.Distiller(networks, ps.terms(list(terms), networks, batch), batch, classifiers=["student"])
    return distiller, make_optimizer(distiller, training), batch


@pytest.mark.parametrize("labels", [7, 4, 1], ids=lambda labels: f"{labels} labels")
@pytest.mark.parametrize("parts", [1, 2, 3, 7, 9])
def test_parts_of_a_batch_give_the_gradient_of_the_whole(parts, labels):
    """Of a batch of which few rows have a label, some parts have none."""
    torch.manual_seed(3)
    distiller, optimizer, batch = setting(labels=labels)
    found = {}
    values = train_step(distiller, batch, optimizer, lambda: found.update(_gradients(distiller)), "fp32", parts)
    wanted = train_step(distiller, batch, optimizer, lambda: found.update(_gradients(distiller, "whole ")), "fp32")
    for name in [name for name in found if not name.startswith("whole ")]:
        torch.testing.assert_close(found[name], found[f"whole {name}"], rtol=1e-12, atol=1e-14)
    for name, value in wanted.items():
        torch.testing.assert_close(values[name], value, rtol=1e-6, atol=1e-7)  # a distiller's own numbers are float32


@pytest.mark.parametrize("parts", [2, 3])
@pytest.mark.parametrize("labels", [7, 4, 2, 1, 0])
def test_parts_have_every_row_once_and_two_at_least(labels, parts):
    batch = {"images": torch.arange(7), "labels": torch.arange(labels)}
    found = [part for _, part in parts_of(batch, parts)]
    assert len(found) == parts
    assert all(len(part["images"]) >= 2 for part in found)
    for part in found:
        own = len(part["labels"])
        assert part["labels"].tolist() == part["images"][:own].tolist()
        assert (part["images"][own:] >= labels).all()
    assert sorted(torch.cat([part["images"] for part in found]).tolist()) == [*range(7)]
    assert sum(share.rows for share, _ in parts_of(batch, parts)) == pytest.approx(1)


def _gradients(distiller, prefix=""):
    student = distiller.networks["student"]
    return {f"{prefix}{name}": parameter.grad.clone() for name, parameter in student.named_parameters()}


@pytest.mark.parametrize("norm", [1e-3, 1e3])
def test_the_whole_gradient_is_shortened(norm, tmp_path):
    """One step of a run: the weights move by at most rate times norm."""
    moved = []
    data = ps.data.from_loaders([(torch.randn(6, 3, 8, 8), torch.arange(6) % 3)], classes=3)
    for clip in (None, norm):
        torch.manual_seed(0)
        networks = {"student": ps.networks.create("resnet8", classes=3, seed=0)}
        before = deepcopy(networks["student"])
        distiller = ps.Distiller(networks, ps.terms(["CE"], networks), data.example())
        training = replace(TRAINING, epochs=1, momentum=0, weight_decay=0, lr=1.0, schedule="cosine", clip=clip)
        ps.fit(distiller, data, replace(training, out=tmp_path / str(clip), device="cpu"))
        pairs = zip(before.parameters(), networks["student"].parameters(), strict=True)
        moved.append(float(sum((a - b).detach().double().square().sum() for a, b in pairs).sqrt()))
    assert moved[1] == pytest.approx(min(norm, moved[0]), rel=1e-4)


def test_the_rate_rises_step_by_step_and_then_follows_its_schedule():
    training = Training(epochs=10, lr=0.4, schedule="cosine", warmup=2)
    rates = [warming_up(training, epoch, step, 5) for epoch in range(3) for step in range(5)]
    usual = replace(training, warmup=0).learning_rate()
    assert rates[:10] == pytest.approx([usual(i // 5) * (i + 1) / 10 for i in range(10)])
    assert rates[10:] == [None] * 5
    assert [training.learning_rate()(epoch) for epoch in (0, 1, 2, 9)] == pytest.approx(
        [usual(0) / 2, usual(1), usual(2), usual(9)]
    )
    assert warming_up(training, 0, 0, None) is None  # nobody knows how many steps there are


def test_decay_leaves_vectors_alone_if_asked():
    network = plain()
    network(torch.zeros(1, 3, 6, 6, dtype=torch.float64))
    decayed, left = parameter_groups(network, replace(TRAINING, decay_norms=False))
    assert {p.dim() for p in decayed["params"]} == {4, 2}
    assert "weight_decay" not in decayed
    assert {p.dim() for p in left["params"]} == {1}
    assert left["weight_decay"] == 0
    assert len(parameter_groups(network, TRAINING)) == 1


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "resnet18", "convnext_atto"])
def test_layers_are_those_of_timm(name):
    network = timm.create_model(name, num_classes=5)
    wanted = {}
    for group in param_groups_layer_decay(network, layer_decay=0.5):
        wanted |= dict.fromkeys(group["params"], group["lr_scale"])
    found = depths(network)
    assert {parameter: 0.5**further for parameter, further in found.items()} == wanted


def test_layers_of_other_networks_are_their_blocks():
    with torch.device("meta"):  # its weights do not matter
        network = torchvision.models.vit_b_16()
    found = depths(network)
    assert [found[network.class_token], found[network.conv_proj.weight], found[network.encoder.pos_embedding]] == [
        13
    ] * 3
    assert [found[block.mlp[0].weight] for block in network.encoder.layers] == [*range(12, 0, -1)]
    assert (found[network.encoder.ln.weight], found[network.heads.head.weight]) == (1, 0)


def test_each_layer_has_its_part_of_the_rate():
    networks = {"student": ps.networks.create("resnet8", seed=0)}
    batch = {"images": torch.randn(4, 3, 8, 8), "labels": torch.arange(4)}
    distiller = ps.Distiller(networks, ps.terms(["CE"], networks), batch)
    optimizer = make_optimizer(distiller, replace(TRAINING, layer_decay=0.5, momentum=0, weight_decay=0))
    set_learning_rate(optimizer, 0.25)
    rates = {p: float(group["lr"]) for group in optimizer.param_groups for p in group["params"]}
    network = networks["student"]
    assert rates[network.fc.weight] == 0.25
    assert rates[network.layer3[0].conv1.weight] == 0.125
    assert rates[network.conv1.weight] == 0.25 * 0.5**4


@pytest.mark.parametrize("name", ["lamb", "muon", "adamw", "nadamw", "lion", "adafactor"])
def test_timms_optimisers_take_their_own_steps(name):
    ours, theirs = (setting(replace(TRAINING, optimizer=f"timm:{name}", lr=0.01)) for _ in range(2))
    theirs[0].load_state_dict(ours[0].state_dict())
    student = theirs[0].networks["student"]
    settings = {"lr": 0.01, "weight_decay": 0.01, "momentum": 0.9, "filter_bias_and_bn": False}
    plain_one = timm.optim.create_optimizer_v2([*student.parameters()], name, **settings)
    batch = ours[2]
    for optimizer, distiller in ((ours[1], ours[0]), (plain_one, theirs[0])):
        for _ in range(3):
            train_step(distiller, batch, optimizer, optimizer.step, "fp32")
    for one, other in zip(ours[0].networks["student"].parameters(), student.parameters(), strict=True):
        assert torch.equal(one, other)


def test_averages_are_those_of_the_formula():
    distiller, optimizer, batch = setting(replace(TRAINING, lr=0.05))
    averages = Averages(distiller, 0.5)
    student = distiller.networks["student"]
    wanted = {key: value.clone() for key, value in student.state_dict().items()}
    for step in range(8):
        train_step(distiller, batch, optimizer, optimizer.step, "fp32")
        averages.follow()
        decay = min(0.5, (1 + step) / (10 + step))
        wanted = {key: decay * wanted[key] + (1 - decay) * value for key, value in student.state_dict().items()}
    for key, value in averages.networks["student-ema"].state_dict().items():
        torch.testing.assert_close(value, wanted[key], rtol=1e-12, atol=1e-14)
    assert not any(parameter.requires_grad for parameter in averages.networks["student-ema"].parameters())


def test_statistics_are_averaged_and_counts_are_copied():
    networks = {"student": ps.networks.create("resnet8", seed=0)}
    batch = {"images": torch.randn(4, 3, 8, 8), "labels": torch.arange(4)}
    distiller = ps.Distiller(networks, ps.terms(["CE"], networks), batch)
    averages, norm = Averages(distiller, 0.9), networks["student"].bn1
    before = norm.running_mean.clone()
    distiller(batch)
    averages.follow()
    mean = averages.networks["student-ema"].bn1
    torch.testing.assert_close(mean.running_mean, 0.1 * before + 0.9 * norm.running_mean)
    assert int(mean.num_batches_tracked) == int(norm.num_batches_tracked) == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"warmup": 11}, "--warmup 11 is longer than the run, --epochs 10"),
        ({"accumulate": 9, "batch_size": 8}, "--accumulate 9 makes no parts of two images of --batch-size 8"),
        ({"optimizer": "timm:lamp"}, "unknown optimizer of timm 'lamp'; did you mean lamb"),
        ({"optimizer": "adam"}, "unknown optimizer 'adam'; did you mean adamw?"),
        ({"randaugment": (2, 9), "trivial_augment": True}, "give one of them"),
        ({"randaugment": (2, 31)}, "--randaugment must be 30 or less, not 31"),
        ({"ema": 1.0}, "--ema must be"),
        ({"qat": True, "compile": True}, "--qat and --compile do not go together"),
        ({"drop_path": 0.99}, "--drop-path must be"),
    ],
    ids=str,
)
def test_settings_that_contradict_each_other_are_refused(settings, message):
    with pytest.raises(BadInput, match=message):
        Training(**{"epochs": 10, **settings})
