import pytest
import torch

from potstill.errors import BadInput
from potstill.networks import create


def test_pre_is_the_batch_norm_after_the_group(run_with_aliases):
    network = create("wrn-16-2", seed=0).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean)  # otherwise a batch norm in eval mode does nothing
    seen = run_with_aliases(network, torch.randn(2, 3, 32, 32))
    following = {"stage1": network.block2[0].bn1, "stage2": network.block3[0].bn1, "stage3": network.bn1}
    for stage, norm in following.items():
        assert torch.equal(seen[f"{stage}:pre"], norm(seen[stage]))
        assert not torch.equal(seen[f"{stage}:pre"], seen[stage])
    assert torch.equal(seen["pooled"], seen["stage3:pre"].relu().mean((2, 3)))
    assert seen["stem"].shape == (2, 16, 32, 32)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("wrn-17-2", "6n \\+ 4, not 17; the nearest is 16$"),
        ("wrn-4-2", "6n \\+ 4, not 4; the nearest is 10$"),
        ("wrn-16-0", "a width of 1 or more, not 0$"),
    ],
)
def test_sizes_that_do_not_exist(spec, message):
    with pytest.raises(BadInput, match=message):
        create(spec)


def test_a_width_may_be_a_fraction(run_with_aliases):
    seen = run_with_aliases(create("wrn-16-1.5"), torch.randn(1, 3, 32, 32))
    assert [seen[f"stage{i}"].shape[1] for i in (1, 2, 3)] == [24, 48, 96]
