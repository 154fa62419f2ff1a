import torch

from potstill.losses import SP


def maps(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).double()


def test_is_the_difference_of_similarities_with_unit_rows():
    student, teacher = maps(0, 4, 3, 5, 5), maps(1, 4, 6, 2, 3)
    expected = 0.0
    for i in range(4):
        rows = [torch.stack([(m[i] * m[j]).sum() for j in range(4)]) for m in (student, teacher)]
        expected = expected + (rows[0] / rows[0].norm() - rows[1] / rows[1].norm()).square().sum() / 16
    torch.testing.assert_close(SP()(student, teacher), expected)


def test_scale_and_rotation_of_features_do_not_matter():
    student = maps(0, 5, 6)
    rotation = torch.linalg.qr(maps(1, 6, 6))[0]
    assert SP()(3 * student @ rotation, student) < 1e-20


def test_a_dead_sample_adds_no_steep_gradient():
    student, teacher = maps(0, 4, 3, 2, 2), maps(1, 4, 3, 2, 2)
    student[1] = 0
    student.requires_grad_()
    SP()(student, teacher).backward()
    assert 0 < student.grad.abs().max() < 10
