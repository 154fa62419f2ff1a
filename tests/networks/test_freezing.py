import pytest
import torch

import potstill as ps
from potstill.errors import BadInput
from potstill.networks.freezing import freeze_parts


def test_what_is_frozen_stays_to_the_bit_and_its_statistics_too():
    network = ps.networks.create("resnet8", seed=0)
    freeze_parts(network, ["conv1", "bn1", "layer1", "*.bn2.bias"], "student")
    networks = {"student": network}
    batch = {"images": torch.randn(8, 3, 8, 8), "labels": torch.arange(8) % 10}
    distiller = ps.Distiller(networks, ps.terms(["CE"], networks), batch)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in distiller.parameters() if p.requires_grad], lr=0.1, weight_decay=0.1)
    distiller.train()
    for _ in range(3):
        distiller(batch)[0].backward()
        optimizer.step()
        optimizer.zero_grad()
    after = network.state_dict()
    same = {key for key in after if torch.equal(before[key], after[key])}
    frozen = {key for key in after if key.startswith(("conv1.", "bn1.", "layer1.")) or key.endswith("bn2.bias")}
    assert same == frozen
    assert not network.bn1.training
    assert network.layer2[0].bn1.training


def test_aliases_and_letters_that_stand_for_any_others():
    network = ps.networks.create("resnet8")
    freeze_parts(network, ["conv1", "bn1", "stage[12]"], "student")
    assert {name.partition(".")[0] for name, p in network.named_parameters() if p.requires_grad} == {"layer3", "fc"}


@pytest.mark.parametrize(
    ("patterns", "message"),
    [
        (["relu"], "--freeze 'relu' is no part of student"),  # it has nothing to freeze
        (["layer7"], "--freeze 'layer7' is no part of student; did you mean layer3"),
        (["fc", "*.wieght"], r"--freeze '\*.wieght' is no part of student"),
        (["*"], r"--freeze \* leaves nothing of student to train"),
    ],
)
def test_patterns_that_fit_nothing_or_everything_are_refused(patterns, message):
    with pytest.raises(BadInput, match=message):
        freeze_parts(ps.networks.create("resnet8"), patterns, "student")
