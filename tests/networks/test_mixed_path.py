import pytest
import torch
from torch import nn

import potstill as ps
from potstill.errors import BadInput
from potstill.networks.freezing import put_to_rest
from potstill.networks.mixed_path import mixed_path, stage_maps
from potstill.recipes import mixed_paths
from potstill.training import Training

IMAGES = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def path_from(network, stage=1):
    maps = stage_maps(network, "student", 3, IMAGES)
    return mixed_path(network, stage, maps[stage - 1], maps[stage - 1], seed=0), maps


@pytest.mark.parametrize("spec", ["resnet8", "wrn-16-2", "vgg8", "shufflenetv1"])
def test_later_stages_go_on_from_before_the_activation(spec):
    network = ps.networks.create(spec, seed=0).eval()
    for stage in (1, 2):
        path, maps = path_from(network, stage)
        path.bridge = nn.Identity()
        assert torch.equal(path.eval()(maps[stage - 1]), network(IMAGES)), stage
        assert f"stage{stage + 1}:pre" in path.aliases


def test_a_learner_shares_its_weights_and_not_its_statistics():
    network = ps.networks.create("resnet8", seed=0)
    path, maps = path_from(network)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    path.train()(maps[0]).sum().backward()
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert network.fc.weight.grad is not None
    assert path.scion.get_parameter("fc.weight") is network.fc.weight


def test_a_teacher_rests_and_passes_gradients_on():
    network = ps.freeze(ps.networks.create("resnet8", seed=0))
    path, maps = path_from(network)
    given = maps[0].clone().requires_grad_()
    put_to_rest(path.train())  # as a distiller does
    path(given).sum().backward()
    assert given.grad.abs().sum() > 0
    assert not any(module.training for module in path.scion.modules())
    assert {name.split(".")[0] for name, p in path.named_parameters() if p.requires_grad} == {"bridge"}


def test_networks_of_different_stages(tmp_path):
    torch.save(ps.networks.create("resnet8").state_dict(), tmp_path / "teacher.pth")
    few = Training("digits", images=20, test_images=10, out=tmp_path / "run", device="cpu")
    with pytest.raises(BadInput, match="as many in both networks, not 4 and 3"):
        mixed_paths(student="vgg8", teacher="resnet8", teacher_weights=tmp_path / "teacher.pth", training=few)
