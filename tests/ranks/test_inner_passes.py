"""What would have some processes wait for others that have no row is refused before anything runs."""

from types import SimpleNamespace

import pytest
import torch

import potstill as ps
from potstill.errors import BadInput
from potstill.losses.bss import BoundaryAttack
from potstill.ranks.inner import InnerPasses

INPUTS = {"attack": ("images", "labels", "student", "teacher")}


def passes(attack, terms, networks, synced):
    batch = {"images": torch.randn(4, 3, 8, 8), "labels": torch.arange(4)}
    terms = [ps.Term(ps.losses.CE(), "student", "labels"), *terms]
    distiller = ps.Distiller({**networks, "attack": attack}, terms, batch, inputs=INPUTS, classifiers=["student"])
    return InnerPasses(None, distiller, SimpleNamespace(beside=False), synced=synced)  # no rank is asked for that


@pytest.fixture
def networks():
    return {"student": ps.networks.create("resnet8"), "teacher": ps.freeze(ps.networks.create("resnet8", seed=1))}


def test_a_loss_that_compares_rows_of_attacked_images_needs_synchronised_batch_norm(networks):
    attack, terms = BoundaryAttack(networks["teacher"]), [ps.Term(ps.losses.RKD(), "student@attack", "teacher@attack")]
    with pytest.raises(BadInput, match=r"'RKD student@attack' .* student@attack may have none .* add --sync-bn"):
        passes(attack, terms, networks, synced=False)
    found = passes(attack, terms, networks, synced=True)
    assert found.whole == {"attack"}
    assert found.keys == {"attack", "student@attack", "teacher@attack"}


def test_a_network_that_sees_all_rows_does_not_learn(networks):
    attack = BoundaryAttack(ps.networks.create("resnet8"))
    with pytest.raises(BadInput, match="attack has whole_batch: on several processes such a network neither learns"):
        passes(attack, [ps.Term(ps.losses.BSS(), "attack", "images")], networks, synced=True)
