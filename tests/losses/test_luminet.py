import torch
import torch.nn.functional as F

from potstill.losses import KD, LumiNet

STUDENT, TEACHER = torch.randn(2, 7, 5, generator=torch.Generator().manual_seed(0)).double()


def test_is_kd_of_what_batch_norm_makes_of_logits():
    normed = [F.batch_norm(z, None, None, training=True) for z in (STUDENT, TEACHER)]
    torch.testing.assert_close(LumiNet(temperature=3)(STUDENT, TEACHER), KD(temperature=3)(*normed) / 9)
