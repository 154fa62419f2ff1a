import pytest
import torch
import torch.nn.functional as F

from potstill.errors import BadInput
from potstill.losses import FCFD


@pytest.mark.parametrize(
    ("student", "teacher", "kernel", "stride"),
    [((4, 6), (4, 6), 3, 1), ((8, 6), (4, 3), 3, 2), ((3, 2), (6, 4), 4, 2), ((5, 5), (3, 3), 3, 1)],
)
def test_a_bridge_leads_to_the_teachers_map(student, teacher, kernel, stride):
    own, target = torch.randn(2, 3, *student), torch.randn(2, 5, *teacher)
    loss = FCFD()
    loss.build((own,), (target,))
    bridge = loss.bridge["1"]
    assert bridge(own).shape == target.shape
    assert (bridge.conv.kernel_size, bridge.conv.stride) == ((kernel, kernel), (stride, stride))
    assert (bridge.conv.bias is None) == (stride == 1)


def test_the_last_stage_counts_by_its_features_too():
    own, target = [torch.randn(2, 3, 4, 4)] * 2, [torch.randn(2, 3, 4, 4)] * 2
    loss = FCFD()
    loss.build(own, target)
    loss.eval()
    crossed = [loss.bridge[str(i)](m) for i, m in ((1, own[0]), (2, own[1]))]
    means = [m.clamp(min=0).flatten(2).mean(dim=2) for m in (crossed[1], target[1])]
    expected = sum(F.mse_loss(*pair) for pair in zip(crossed, target, strict=True)) + F.mse_loss(*means)
    torch.testing.assert_close(loss(own, target), expected)
    with pytest.raises(BadInput, match="2 maps of the student and 1 of the teacher"):
        FCFD().build(own, target[:1])
