import pytest
import torch

from potstill.losses import CE, LabelSmoothing

STUDENT, LABELS = torch.randn(5, 8, generator=torch.Generator().manual_seed(0)).double(), torch.arange(5)


@pytest.mark.parametrize("eps", [0, 0.1, 0.7])
def test_the_two_conventions_and_torchs(eps):
    torch.testing.assert_close(LabelSmoothing(eps, "all")(STUDENT, LABELS), CE(label_smoothing=eps)(STUDENT, LABELS))
    made = torch.full((5, 8), eps / 7).double().scatter(1, LABELS[:, None], 1 - eps)
    torch.testing.assert_close(LabelSmoothing(eps)(STUDENT, LABELS), CE()(STUDENT, made))
