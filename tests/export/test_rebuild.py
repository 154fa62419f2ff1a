import pytest
import torch

from potstill.errors import BadInput
from potstill.export import rebuild
from potstill.export.rebuild import own_input
from potstill.networks import Input, adapt_input, create

DIGITS = Input(((0.3, 0.3, 0.3), (0.4, 0.4, 0.4)), (8, 8))


def test_weights_and_mode(runs):
    network = rebuild({"spec": "resnet8", "classes": 10}, DIGITS, runs / "lone" / "net.safetensors")
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert torch.equal(network.fc.weight, create("resnet8", seed=0).fc.weight)


def test_it_sees_its_own_images(runs):
    weights = runs / "lone" / "net.safetensors"
    own = {"statistics": [[0.5, 0.5, 0.5], [0.2, 0.2, 0.2]], "size": [12, 12]}
    again = rebuild({"spec": "resnet8", "classes": 10, "input": own}, DIGITS, weights)
    plain = rebuild({"spec": "resnet8", "classes": 10}, DIGITS, weights)
    images = torch.randn(2, 3, 8, 8)
    assert not torch.allclose(again(images), plain(images))
    adapt_input(plain, DIGITS, Input(((0.5, 0.5, 0.5), (0.2, 0.2, 0.2)), (12, 12)))
    assert torch.equal(again(images), plain(images))
    assert own_input({}) is None
    assert own_input({"input": {"statistics": None, "size": [9, 9]}}) == Input(None, (9, 9))


def test_several_as_one_and_by_hand():
    member = {"spec": "resnet8", "classes": 10}
    network = rebuild({"spec": None, "classes": 10, "mean_of": [member, member]}, DIGITS)
    assert len(network.networks) == 2
    with pytest.raises(BadInput, match="made by hand"):
        rebuild({"spec": None, "classes": 10}, DIGITS)
