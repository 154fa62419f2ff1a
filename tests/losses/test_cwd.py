import pytest
import torch
from torch.distributions import Categorical, kl_divergence

from potstill.errors import BadInput
from potstill.losses import CWD


@pytest.mark.parametrize("over", ["positions", "channels"])
def test_the_divergence_of_two_distributions(over):
    student, teacher = torch.randn(3, 4, 5, 2), torch.randn(3, 4, 5, 2)
    flat = [m.flatten(2) if over == "positions" else m.flatten(2).transpose(1, 2) for m in (student, teacher)]
    own, target = (Categorical(logits=m / 2.5) for m in flat)
    expected = 2.5**2 * kl_divergence(target, own).mean()
    torch.testing.assert_close(CWD(2.5, over)(student, teacher), expected)
    squares = (Categorical(logits=flat[0]).probs - Categorical(logits=flat[1]).probs).square().sum(dim=2)
    torch.testing.assert_close(CWD(2.5, over, "mse")(student, teacher), squares.mean())


def test_other_widths_and_sizes_are_brought_together():
    student, teacher = torch.randn(3, 4, 6, 6), torch.randn(3, 5, 3, 3)
    loss = CWD()
    loss.build(student, teacher)
    loss(student, teacher).backward()
    assert loss.align.weight.grad.shape == (5, 4, 1, 1)


def test_there_is_no_divergence_of_means():
    with pytest.raises(BadInput, match="divergence='mse'"):
        CWD(over="nothing")
