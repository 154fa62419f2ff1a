import torch

from potstill.networks import Input, MeanOfLogits, adapt_input, create
from potstill.taps import Taps


def test_the_mean_of_logits_each_of_its_own_images():
    first, second = create("resnet8", seed=0).eval(), create("wrn-10-1", seed=1).eval()
    images = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    given = Input(((0.5,) * 3, (0.25,) * 3), (8, 8))
    with torch.no_grad():
        by_hand = (first(images) + second(images * 0.5)) / 2
        adapt_input(second, given, Input(((0.5,) * 3, (0.5,) * 3)))
        torch.testing.assert_close(MeanOfLogits([first, second])(images), by_hand)


def test_taps_inside_by_alias_and_path():
    ensemble = MeanOfLogits([create("resnet8", seed=0), create("wrn-10-1", seed=1)]).eval()
    assert (ensemble.classes, ensemble.aliases["networks.1.stage1"]) == (10, "networks.1.block1")
    images = torch.zeros(2, 3, 8, 8)
    addresses = ["teacher", "teacher.networks.0.stage1", "teacher.networks.1.block1", "teacher.networks.1"]
    seen = Taps(ensemble, "teacher", addresses).check(images)
    assert torch.equal(seen["teacher.networks.1"], ensemble.networks[1](images))
    assert seen["teacher.networks.0.stage1"].shape == (2, 16, 8, 8)
