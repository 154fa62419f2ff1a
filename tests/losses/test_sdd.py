import pytest
import torch
import torch.nn.functional as F
from torch import nn

from potstill.errors import BadInput
from potstill.losses import DKD, KD, NKD, SDD


def answers(side=8):
    torch.manual_seed(0)
    layer = nn.Linear(5, 3).double()
    return (torch.randn(4, 5, side, side).double(), layer.weight, layer.bias), layer


def test_regions_are_the_classifier_on_means_of_cells():
    (maps, *weights), layer = answers()
    regions = SDD(scales=(1, 2)).regions((maps, *weights))
    torch.testing.assert_close(regions[:, :, 0], layer(maps.mean(dim=(2, 3))))
    torch.testing.assert_close(regions[:, :, 2], layer(maps[:, :, :4, 4:].mean(dim=(2, 3))))
    (maps, *weights), layer = answers(side=7)
    whole = layer(maps.mean(dim=(2, 3)))
    torch.testing.assert_close(SDD(exact=True).regions((maps, *weights))[:, :, 0], whole)
    assert not torch.allclose(SDD().regions((maps, *weights))[:, :, 0], whole)  # of cells that overlap


@pytest.mark.parametrize(
    ("loss", "base"),
    [
        (SDD("KD", temperature=2), KD(2)),
        (SDD("DKD", temperature=2, alpha=3, beta=5), DKD(3, 5, 2)),
        (SDD("NKD", alpha=1, beta=0), NKD(gamma=0)),
    ],
)
def test_regions_about_which_the_teacher_is_of_two_minds_count_twice(loss, base):
    student, teacher = torch.randn(2, 4, 3, 5, generator=torch.Generator().manual_seed(0)).double()
    labels, total = torch.tensor([0, 1, 2, 0]), 0
    for i, label in enumerate(labels):
        for region in range(5):
            wavers = (teacher[i, :, region].argmax() == label) != (teacher[i, :, 0].argmax() == label)
            rest = [label[None]] * (not isinstance(base, KD))
            total += (1 + wavers.double()) * base(student[i, None, :, region], teacher[i, None, :, region], *rest)
    torch.testing.assert_close(loss(student, teacher, labels), total / 20)


def test_refusals():
    answer, _ = answers()
    with pytest.raises(BadInput, match="begin with 1"):
        SDD(scales=(2, 4))
    with pytest.raises(BadInput, match="a map, and the weight and bias of the last layer, not 2 tensors"):
        SDD()(answer[:2], answer, torch.arange(4))
    with pytest.raises(BadInput, match="with mixup, use KD"):
        SDD()(answer, answer, F.one_hot(torch.arange(3)).double())
