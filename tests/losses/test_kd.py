import pytest
import torch

from potstill.errors import BadInput
from potstill.losses import KD


def test_hard_labels_are_the_teachers_favourite_classes():
    generator = torch.Generator().manual_seed(0)
    student, teacher = (torch.randn(6, 5, dtype=torch.float64, generator=generator) for _ in range(2))
    probabilities = student.exp() / student.exp().sum(1, keepdim=True)
    wanted = -sum(float(probabilities[i, int(teacher[i].argmax())].log()) for i in range(6)) / 6
    assert float(KD(hard=True)(student, teacher)) == pytest.approx(wanted, rel=1e-12)
    assert float(KD(temperature=9, hard=True)(student, teacher)) == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("more", [{"guided": True}, {"standardize": True}, {"reduction": "elementmean"}], ids=str)
def test_what_changes_soft_labels_has_no_meaning_for_hard_ones(more):
    with pytest.raises(BadInput, match="KD\\(hard=True\\) is a cross-entropy"):
        KD(hard=True, **more)
