import pytest
import torch
import torch.nn.functional as F

from potstill.errors import BadInput
from potstill.losses import TaT


def test_is_torchs_attention_without_its_scale():
    student, teacher = torch.randn(3, 5, 4, 2), torch.randn(3, 6, 4, 2)
    loss = TaT(heads=2)
    loss.build(student, teacher)
    loss.eval()
    query, key, value = (
        m.unflatten(1, (2, 3)).flatten(3).transpose(2, 3) for m in (loss.query(student), teacher, loss.value(student))
    )
    made = F.scaled_dot_product_attention(query, key, value, scale=1.0)
    torch.testing.assert_close(loss(student, teacher), F.mse_loss(made, key))


def test_heads_divide_the_channels():
    with pytest.raises(BadInput, match="heads=4 do not divide the teacher's 6 channels"):
        TaT(heads=4).build(torch.randn(2, 5, 3, 3), torch.randn(2, 6, 3, 3))
