import pytest
import torch

from potstill.distiller import Distiller, freeze
from potstill.errors import BadInput
from potstill.losses import CE, LwM
from potstill.networks import create
from potstill.term import Term

LABELS = torch.tensor([2, 0, 1])


def network(channels, seed):
    """A map, and logits by global pooling and a linear classifier: class activation maps are known."""
    generator = torch.Generator().manual_seed(seed)
    maps = torch.randn(3, channels, 4, 5, generator=generator).double().requires_grad_()
    classifier = torch.randn(3, channels, generator=generator).double()
    return maps, maps.mean(dim=(2, 3)) @ classifier.T, classifier


def unit(maps):
    return maps.flatten(1) / maps.flatten(1).norm(dim=1, keepdim=True)


def test_behind_a_global_pooling_it_compares_class_activation_maps():
    (s, z_s, w_s), (t, z_t, w_t) = network(4, 0), network(6, 1)
    own, target = (unit((w[LABELS][:, :, None, None] * m).sum(dim=1).relu()) for m, w in ((s, w_s), (t, w_t)))
    torch.testing.assert_close(LwM()(s, t, z_s, z_t, LABELS), (own - target).abs().mean())


def test_behind_a_global_pooling_the_zoos_variant_cannot_tell_positions_apart():
    (s, z_s, _), (t, z_t, _) = network(4, 0), network(6, 1)
    assert LwM(weighted="gradient")(s, t, z_s, z_t, LABELS) < 1e-15


def test_zero_at_equality_and_no_gradient_to_the_teacher():
    (s, z_s, _), (t, z_t, _) = network(4, 0), network(4, 1)
    assert LwM()(s, s, z_s, z_s, LABELS) == 0
    LwM()(s, t, z_s, z_t, LABELS).backward()
    assert s.grad.norm() > 0
    assert t.grad is None


@pytest.mark.parametrize("weighted", ["map", "gradient"])
def test_trains_a_student_of_a_frozen_teacher_at_several_stages(weighted):
    batch = {"images": torch.randn(4, 3, 8, 8), "labels": torch.arange(4)}
    networks = {"student": create("resnet8", seed=0), "teacher": freeze(create("resnet8x4", seed=1))}
    terms = [Term(CE(), "student", "labels")]
    for stage in ("stage1", "stage2"):
        addresses = [address.replace("stage3", stage) for address in LwM.taps]
        terms.append(Term(LwM(weighted), *addresses, weight=10))
    distiller = Distiller(networks, terms, example=batch)
    total, values = distiller(batch)
    total.backward()
    assert values["LwM student.stage1"] > 0
    assert values["LwM student.stage2"] > 0
    assert networks["student"].conv1.weight.grad.isfinite().all()
    assert all(parameter.grad is None for parameter in networks["teacher"].parameters())


def test_refuses_a_map_that_the_logits_do_not_come_from():
    (s, z_s, _), (t, z_t, _) = network(4, 0), network(4, 1)
    with pytest.raises(BadInput, match=r"logits \(3, 3\) and inputs \(3, 4, 4, 5\)"):
        LwM()(s.clone(), t, z_s, z_t, LABELS)


@pytest.mark.parametrize("which", ["student", "teacher"])
def test_a_map_that_the_logits_ignore_is_refused_once_seen(which):
    inputs = {name: network(4, seed)[:2] for seed, name in enumerate(("student", "teacher"))}
    maps, logits = inputs[which]
    inputs[which] = maps, logits.detach() + 0 * maps.sum()
    given = [inputs[name][i] for i in (0, 1) for name in ("student", "teacher")]
    with pytest.raises(BadInput, match=f"LwM: the logits do not depend on the {which}'s map; tap an earlier one"):
        LwM()(*given, LABELS)
    dead = maps.detach().mul(0).requires_grad_()
    inputs[which] = dead, dead.square().sum((1, 2, 3))[:, None] + logits.detach()
    LwM()(*[inputs[name][i] for i in (0, 1) for name in ("student", "teacher")], LABELS)
