import torch
import torch.nn.functional as F

from potstill.losses import KD, TfKD

LABELS = torch.arange(5)


def test_is_kd_from_probabilities_taken_as_logits():
    student = torch.randn(5, 8, generator=torch.Generator().manual_seed(0)).double()
    made = torch.full((5, 8), 0.01 / 7).double().scatter(1, LABELS[:, None], 0.99)
    # The student is not softened: its logits are multiplied by what KD divides them by.
    expected = KD(temperature=3)(3 * student, made) / 9
    torch.testing.assert_close(TfKD(temperature=3)(student, LABELS), expected)
    torch.testing.assert_close(TfKD(temperature=3, reduction="elementmean")(student, LABELS), expected / 8)
    soft = F.one_hot(LABELS, 8).double()
    torch.testing.assert_close(TfKD(temperature=3)(student, soft), expected)
