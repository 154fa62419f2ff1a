"""What timm and torchvision offer, out of their caches: no test downloads anything."""

import socket

import pytest
import timm
import torch
from huggingface_hub import constants
from safetensors.torch import save_file
from torch import nn

from potstill.errors import BadInput
from potstill.networks import Input, create, start_from
from potstill.networks.pretrained import CannotDownload, find_pretrained

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@pytest.fixture
def without_network(monkeypatch, tmp_path):
    """The libraries' caches in an empty folder, and no way to the hosts behind them."""

    def refuse(*_, **__):
        raise OSError("no network in this test")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)  # it would try again for a minute
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path


@pytest.fixture
def cached(without_network) -> dict[str, nn.Module]:
    """Networks of 1000 classes, whose weights lie where the libraries keep what they have downloaded."""
    networks = {spec: create(spec, 1000, seed=5) for spec in ("timm:resnet10t", "torchvision:squeezenet1_1")}
    hub = without_network / "hub" / f"models--{timm.get_pretrained_cfg('resnet10t').hf_hub_id.replace('/', '--')}"
    commit = "a" * 40
    for file in (hub / "refs" / "main", hub / "snapshots" / commit / "model.safetensors"):
        file.parent.mkdir(parents=True)
    (hub / "refs" / "main").write_text(commit)
    save_file(networks["timm:resnet10t"].state_dict(), hub / "snapshots" / commit / "model.safetensors")
    checkpoints = without_network / "torch" / "hub" / "checkpoints"
    checkpoints.mkdir(parents=True)
    torch.save(networks["torchvision:squeezenet1_1"].state_dict(), checkpoints / "squeezenet1_1-b8a52dc0.pth")
    return networks


@pytest.mark.parametrize(
    ("spec", "classifier"), [("timm:resnet10t", "fc"), ("torchvision:squeezenet1_1", "classifier.1")]
)
def test_weights_out_of_the_librarys_cache(cached, spec, classifier):
    expected = cached[spec].state_dict()
    torch.manual_seed(3)
    before = torch.get_rng_state()
    whole = create(spec, 1000, weights="pretrained", seed=0).state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in whole.items())
    network, fresh = create(spec, 10, seed=0), create(spec, 10, seed=0).state_dict()
    assert start_from(network, "pretrained") == (classifier,)
    for name, value in network.state_dict().items():
        assert torch.equal(value, (fresh if name.startswith(f"{classifier}.") else expected)[name]), name
    assert torch.equal(torch.get_rng_state(), before)


def test_of_another_number_of_classes_they_do_not_fit(cached):
    with pytest.raises(BadInput, match=r"^timm:resnet10t, pre-trained, does not fit ResNet: the file has 1000 classes"):
        create("timm:resnet10t", 10, weights="pretrained")


@pytest.mark.parametrize(
    ("spec", "name"),
    [("timm:resnet10t", "timm/resnet10t"), ("torchvision:squeezenet1_1", "SqueezeNet1_1_Weights.IMAGENET1K_V1")],
)
def test_without_a_connection_it_is_one_line(without_network, spec, name):
    with pytest.raises(CannotDownload, match=rf"^cannot download the weights of {spec} \({name}.*\): .+[^.]$") as error:
        create(spec, 1000, weights="pretrained")
    assert "\n" not in str(error.value)


def test_what_they_were_trained_on_is_known_without_them():
    vit = find_pretrained("timm:vit_tiny_patch16_224")
    assert (vit.classes, vit.input) == (1000, Input(((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)), (224, 224)))
    assert find_pretrained("timm:vit_tiny_patch16_224.augreg_in21k").classes == 21843
    assert find_pretrained("torchvision:squeezenet1_1").input == Input(IMAGENET, (224, 224))


@pytest.mark.parametrize(
    "spec", ["timm:beit3_giant_patch14_224", "timm:nothing", "torchvision:nothing", "resnet8", "a/b"]
)
def test_where_nothing_is_offered(spec):
    assert find_pretrained(spec) is None


def test_errors():
    with pytest.raises(BadInput, match=r"^network 'timm:resnet18\.nothing': Invalid pretrained tag"):
        find_pretrained("timm:resnet18.nothing")
    with pytest.raises(BadInput, match="^there are no pre-trained weights of resnet8, only of networks of timm:"):
        create("resnet8", weights="pretrained")
