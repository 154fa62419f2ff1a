import json
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

import potstill as ps
from potstill.engine.optimizer import make_optimizer
from potstill.errors import BadInput
from potstill.networks import create, share
from potstill.recipes import rocket
from potstill.recipes.rocket import hint_terms
from potstill.training import Training

SHORT = Training(data="digits", epochs=1, batch_size=100, lr=0.05)
LOGITS = "Logits(reduction='batchmean')"


def pair(how="interval"):
    light, booster = create("wrn-10-1", seed=0).double(), create("wrn-16-1", seed=1).double()
    if how:
        share(light, booster, how)
    return {"light": light, "booster": booster}


def batches(steps):
    generator = torch.Generator().manual_seed(0)
    return [
        (
            torch.randn(8, 3, 8, 8, dtype=torch.float64, generator=generator),
            torch.randint(10, (8,), generator=generator),
        )
        for _ in range(steps)
    ]


@pytest.mark.parametrize("gradient_block", [True, False])
def test_five_steps_equal_a_loop_written_out(gradient_block):
    """In float64, of light net and booster that share their weights, with the hint's gradient blocked and not."""
    training = Training(optimizer="sgd", lr=0.05, weight_decay=5e-4)
    networks = pair()
    terms = [
        ps.Term(ps.losses.CE(), "light", "labels"),
        ps.Term(ps.losses.CE(), "booster", "labels"),
        *hint_terms(LOGITS, networks, 0.03, gradient_block),
    ]
    distiller = ps.Distiller(networks, terms, example=batches(1)[0])
    optimizer = make_optimizer(distiller, training)
    for group in optimizer.param_groups:
        group["lr"] = group["lr"].double().fill_(0.05)

    plain = pair()
    parameters = {id(p): p for network in plain.values() for p in network.parameters()}.values()
    by_hand = torch.optim.SGD(parameters, lr=0.05, momentum=0.9, weight_decay=5e-4)
    for images, labels in batches(5):
        total, _ = distiller((images, labels))
        total.backward()
        optimizer.step()
        optimizer.zero_grad()

        light, booster = plain["light"](images), plain["booster"](images)
        target = booster.detach() if gradient_block else booster
        hint = 0.03 * (light - target).square().sum() / len(labels)
        loss = F.cross_entropy(light, labels) + F.cross_entropy(booster, labels) + hint
        by_hand.zero_grad()
        loss.backward()
        by_hand.step()
        assert total.item() == pytest.approx(loss.item(), rel=1e-12)
    for name, network in plain.items():
        for key, value in network.state_dict().items():
            torch.testing.assert_close(networks[name].state_dict()[key], value, rtol=1e-9, atol=1e-12, msg=key)


@pytest.mark.parametrize("hint", [LOGITS, "AT on stages", "KD(temperature=4)", "RKD"])
@pytest.mark.parametrize("gradient_block", [True, False])
def test_the_gradient_of_any_hint_is_blocked_or_not(hint, gradient_block):
    networks = pair(how=None)
    terms = [*hint_terms(hint, networks, 0.03, gradient_block), ps.Term(F.cross_entropy, "booster", "labels", weight=0)]
    ps.Distiller(networks, terms, example=batches(1)[0])(batches(1)[0])[0].backward()
    gradients = {name: network.block1[0].conv1.weight.grad for name, network in networks.items()}
    assert gradients["light"].abs().sum() > 0
    assert (gradients["booster"] is None) == gradient_block


def test_hints_are_named_and_weighed():
    terms = hint_terms("AT on stages", pair(), 0.03, True)
    assert [term.name for term in terms] == [f"hint AT light.stage{i}" for i in (1, 2, 3)]
    assert terms[0].addresses == ("light.stage1", "booster.stage1")
    assert {term.weight for term in terms} == {0.03}


@pytest.mark.parametrize(
    ("hint", "gradient_block", "message"),
    [
        ("0.1 * KD", True, "has a weight; the hint's weight is --gamma"),
        ("LwM on stage3", False, "always blocks the booster's gradient"),
        ("KDD", True, "unknown loss 'KDD'; did you mean KD"),
    ],
)
def test_hints_that_cannot_be(hint, gradient_block, message):
    with pytest.raises(BadInput, match=message):
        hint_terms(hint, pair(), 0.03, gradient_block)


@pytest.mark.parametrize("light", ["wrn-16-1-bottom2", "wrn-10-1"])
def test_bottom_sharing_and_each_network_alone_repeats_what_was_measured(light, tmp_path):
    out = tmp_path / "run"
    summary = rocket(light=light, booster="wrn-16-1", share="bottom", training=replace(SHORT, out=out))
    data = SHORT.load_data()
    networks = {name: create(f"{out}:{name}") for name in ("light", "booster")}
    for name, network in networks.items():
        assert network.spec == {"light": light, "booster": "wrn-16-1"}[name]
        assert ps.evaluate(network, data.test) == summary["learners"][name]["last"]["test"]
    for shared in ("conv1", "block1.0.conv1", "block1.0.conv2"):
        weights = [network.get_parameter(f"{shared}.weight") for network in networks.values()]
        assert torch.equal(*weights), shared
    own = [network.block2[0].conv1.weight for network in networks.values()]
    assert torch.equal(*own) == (light != "wrn-10-1")


def test_light_nets_that_do_not_fit_leave_nothing_behind(tmp_path):
    for how in ("interval", "bottom"):
        with pytest.raises(BadInput, match="light net does not fit in booster: conv1"):
            rocket(light="resnet8x4", booster="wrn-16-1", share=how, training=replace(SHORT, out=tmp_path / "run"))
    with pytest.raises(BadInput, match=r"block1\.0\.conv1 is .*\(32, 16, 3, 3\).* the booster has .*\(16, 16, 3, 3\)"):
        rocket(light="wrn-16-2", booster="wrn-16-1", training=replace(SHORT, out=tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_kd_of_a_third_network_comes_on_top(tmp_path):
    teacher = "resnet8"
    weights = tmp_path / "teacher.safetensors"
    ps.engine.checkpoint.save_weights(create(teacher, seed=3), weights)
    out = tmp_path / "run"
    rocket(
        light="wrn-10-1",
        booster="wrn-16-1",
        hint="AT on stages",
        teacher=teacher,
        teacher_weights=weights,
        training=replace(SHORT, out=out),
    )
    (record,) = (json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines())
    stages = {f"hint AT light.stage{i}": 0.03 for i in (1, 2, 3)}
    assert record["weights"] == {"CE light": 1, "CE booster": 1, **stages, "KD light": 1.8}
