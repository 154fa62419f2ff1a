import pytest
import torch
from torch import nn

from potstill.errors import BadInput
from potstill.losses import NKD, WKDL
from potstill.losses.wkd_l import class_costs


def inputs(classes=5):
    generator = torch.Generator().manual_seed(0)
    draw = [torch.randn(3, classes, generator=generator).double() for _ in range(2)]
    return *draw, torch.arange(3), torch.rand(classes, classes, generator=generator).double().fill_diagonal_(0)


def test_with_enough_steps_no_cheaper_plan_is_found():
    """The plan of little entropy costs what moving on a line costs: the distance between cumulative sums."""
    student, teacher, _, _ = inputs()
    line = torch.arange(5).double() / 10
    cost = (line[:, None] - line).abs()
    labels = torch.full((3,), 4)  # the end of the line, which is left out
    loss = WKDL(alpha=0, beta=1, temperature=2, entropy=0.02, iterations=1000, sharpen=0, cost=cost)
    p, q = ((logits[:, :4] / 2).softmax(1) for logits in (student, teacher))
    expected = (p - q).cumsum(1).abs().sum(1).mean() / 10
    torch.testing.assert_close(loss(student, teacher, labels), expected, rtol=0.03, atol=0)


def test_without_distance_it_is_nkd_without_the_rest():
    student, teacher, labels, cost = inputs()
    value = WKDL(beta=0, cost=cost)(student, teacher, labels)
    torch.testing.assert_close(value, NKD(gamma=0)(student, teacher, labels))


def test_costs_come_from_the_teachers_last_layer_and_leave_it_alone():
    student, teacher, labels, _ = inputs()
    weight = nn.Parameter(torch.randn(5, 7).double())
    cosines = nn.functional.cosine_similarity(weight[:, None], weight, dim=2)
    torch.testing.assert_close(WKDL(sharpen=2).costs(weight), 1 - torch.exp(-2 * (1 - cosines)).detach())
    for _ in range(2):
        WKDL()(student.requires_grad_(), teacher, labels, weight).backward()
    assert weight.grad is None


def test_costs_of_classes_by_linear_cka():
    features = torch.randn(3, 6, 4, generator=torch.Generator().manual_seed(0)).double()
    x, y = features[0] - features[0].mean(0), features[2] - features[2].mean(0)
    cka = (y.T @ x).norm() ** 2 / ((x.T @ x).norm() * (y.T @ y).norm())
    costs = class_costs(features)
    torch.testing.assert_close(costs[0, 2], 1 - cka)
    torch.testing.assert_close(costs.diagonal(), torch.zeros(3).double())


def test_refusals():
    student, teacher, labels, cost = inputs()
    with pytest.raises(BadInput, match=r"costs \(4, 4\) are not of 5 classes"):
        WKDL(cost=cost[:4, :4])(student, teacher, labels)
    with pytest.raises(BadInput, match="takes the weight of the teacher's last layer"):
        WKDL()(student, teacher, labels)
