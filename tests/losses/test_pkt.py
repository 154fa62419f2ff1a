import torch

from potstill.losses import PKT


def features(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_is_the_divergence_of_neighbourhoods():
    student, teacher = features(0, 5, 4).double(), features(1, 5, 7).double()
    p = []
    for rows in (student, teacher):
        similar = (torch.cosine_similarity(rows[:, None], rows[None], dim=2) + 1) / 2
        p.append(similar / similar.sum(1, keepdim=True))
    expected = torch.nn.functional.kl_div(p[0].log(), p[1], reduction="sum") / 25
    torch.testing.assert_close(PKT(eps=1e-12)(student, teacher), expected)


def test_only_directions_matter():
    student, teacher = features(0, 6, 5).double(), features(1, 6, 5).double()
    rotation = torch.linalg.qr(features(2, 5, 5).double())[0]
    scaled = student * torch.arange(1, 7).unsqueeze(1)
    torch.testing.assert_close(PKT()(scaled @ rotation, teacher), PKT()(student, teacher), rtol=1e-5, atol=0)
    assert PKT()(teacher @ rotation, teacher).abs() < 1e-12


def test_a_dead_row_gets_no_gradient():
    student, teacher = features(0, 4, 3), features(1, 4, 3)
    student[2] = 0
    student.requires_grad_()
    PKT()(student, teacher).backward()
    assert not student.grad[2].any()
    assert 0 < student.grad.abs().max() < 1


def test_opposite_rows_stay_finite():
    row = features(0, 1, 64)
    student, teacher = torch.cat((row, -row, row)).requires_grad_(), features(1, 3, 8)
    loss = PKT()(student, teacher)
    loss.backward()
    assert loss.isfinite()
    assert student.grad.isfinite().all()
