import pytest
import torch

from potstill.losses import VkD


@pytest.mark.parametrize(("width", "target"), [(4, 7), (7, 4), (5, 5), (1, 1)])
def test_the_projection_stays_orthonormal_while_it_learns(width, target):
    student, teacher = torch.randn(6, width), torch.randn(6, target, 3, 2)
    loss = VkD()
    loss.build(student, teacher)
    before = loss.projector.weight.detach().clone()
    optimizer = torch.optim.SGD(loss.parameters(), lr=0.5, weight_decay=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        loss(student, teacher).backward()
        optimizer.step()
    weight = loss.projector.weight.detach()
    narrow = weight if width <= target else weight.T
    torch.testing.assert_close(narrow.T @ narrow, torch.eye(min(width, target)), rtol=0, atol=1e-5)
    assert min(width, target) == 1 or (weight - before).abs().max() > 1e-3


def test_standardised_features_and_the_huber_like_distance():
    student, teacher = torch.randn(6, 4, 3, 2), torch.randn(6, 5)
    loss = VkD()
    loss.build(student, teacher)
    deviation, mean = torch.std_mean(teacher, dim=1, keepdim=True, correction=0)
    errors = student.mean(dim=(2, 3)) @ loss.projector.weight.T - (teacher - mean) / deviation
    expected = torch.where(errors.abs() < 1, errors.square() / 2, errors.abs() - 0.5).mean()
    torch.testing.assert_close(loss(student, teacher), expected, rtol=1e-4, atol=0)
    assert [*loss.state_dict()] == ["projector.free", "projector.start"]
    again = VkD()
    again.build(student, teacher)
    again.load_state_dict(loss.state_dict())
    torch.testing.assert_close(again(student, teacher), loss(student, teacher))
