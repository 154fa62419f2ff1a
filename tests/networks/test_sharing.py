import pytest
import torch
from torch import nn

from potstill.errors import BadInput
from potstill.networks import create, share


def test_every_convolution_of_the_light_net_is_the_boosters_and_nothing_else(counts):
    light, booster = create("wrn-16-1", seed=0), create("wrn-40-1", seed=1)
    share(light, booster)
    boosters = dict(booster.named_parameters())
    shared = {name for name, parameter in light.named_parameters() if parameter is boosters[name]}
    convolutions = {f"{path}.weight" for path, module in light.named_modules() if isinstance(module, nn.Conv2d)}
    assert shared == convolutions
    recorded = counts["rocket"]["interval.depth40.width1.light16.shared"]
    assert len(shared) == len(recorded["shared_names"])
    assert sum(boosters[name].numel() for name in shared) == recorded["shared_between_both"]


def test_a_bottom_net_is_its_boosters_all_through(counts):
    recorded = counts["rocket"]["bottom.depth40.width1.light16.shared"]
    light, booster = create("wrn-40-1-bottom2", seed=0), create("wrn-40-1", seed=1)
    share(light, booster, "bottom")
    boosters = {id(parameter): name for name, parameter in booster.named_parameters()}
    shared = [boosters[id(parameter)] for parameter in light.parameters() if id(parameter) in boosters]
    assert len(shared) == len(recorded["shared_names"])
    assert sum(booster.get_parameter(name).numel() for name in shared) == recorded["shared_between_both"]
    assert not any(".bn" in name or "block3" in name or "fc" in name for name in shared)


def test_the_bottom_ends_at_the_first_layers_that_differ():
    light, booster = create("wrn-16-1"), create("wrn-40-1")
    share(light, booster, "bottom")  # both go on with blocks of group 1, the light net after two of them with group 2
    assert light.conv1.weight is booster.conv1.weight
    assert light.block1[1].conv2.weight is booster.block1[1].conv2.weight
    assert light.block2[0].conv1.weight is not booster.block2[0].conv1.weight
    assert light.block3[1].conv2.weight is not booster.block3[1].conv2.weight


def test_a_bottom_that_differs_in_stride_is_not_shared():
    light, booster = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3, stride=2)
    with pytest.raises(BadInput, match="does not fit in booster.*the booster has {'weight': \\(4, 3, 3, 3\\)"):
        share(nn.Sequential(light), nn.Sequential(booster), "bottom")


def test_a_step_of_one_is_a_step_of_both():
    light, booster = create("wrn-10-1", seed=0), create("wrn-16-1", seed=1)
    share(light, booster)
    before = light.block1[0].conv1.weight.detach().clone()
    norm = light.bn1.weight.detach().clone()
    booster(torch.randn(4, 3, 8, 8)).square().sum().backward()
    torch.optim.SGD(booster.parameters(), lr=0.1).step()
    assert not torch.equal(light.block1[0].conv1.weight, before)
    assert torch.equal(light.block1[0].conv1.weight, booster.block1[0].conv1.weight)
    assert torch.equal(light.bn1.weight, norm)


def test_biases_are_shared_too():
    light, booster = nn.Sequential(nn.Conv2d(3, 4, 3)), nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    share(light, booster)
    assert light[0].bias is booster[0].bias


@pytest.mark.parametrize(
    ("light", "booster", "message"),
    [
        (
            lambda: create("wrn-16-2"),
            lambda: create("wrn-40-1"),
            "block1.0.conv1 is {'weight': (32, 16, 3, 3)} in the light net, the booster has {'weight': (16, 16, 3, 3)}",
        ),
        (
            lambda: create("wrn-40-1"),
            lambda: create("wrn-16-1"),
            "block1.2.conv1 is {'weight': (16, 16, 3, 3)} in the light net, the booster does not have this layer",
        ),
        (
            lambda: nn.Sequential(nn.Conv2d(3, 4, 1, bias=False)),
            lambda: nn.Sequential(nn.ReLU()),
            "0 is {'weight': (4, 3, 1, 1)} in the light net, the booster has a ReLU there",
        ),
        (
            lambda: nn.Sequential(nn.Conv2d(3, 4, 1, bias=False)),
            lambda: nn.Sequential(nn.Conv2d(3, 4, 1)),
            "0 is {'weight': (4, 3, 1, 1)} in the light net, the booster has {'weight': (4, 3, 1, 1), 'bias': (4,)}",
        ),
    ],
    ids=["shape", "depth", "kind", "bias"],
)
def test_nothing_changes_unless_everything_fits(light, booster, message):
    light, booster = light(), booster()
    before = list(light.parameters())
    with pytest.raises(BadInput) as error:
        share(light, booster)
    assert str(error.value) == f"light net does not fit in booster: {message}"
    assert all(old is new for old, new in zip(before, light.parameters(), strict=True))


def test_nothing_to_share_is_an_error():
    with pytest.raises(BadInput, match="no convolution to share: Linear"):
        share(nn.Linear(2, 2), create("wrn-10-1"))
