import numpy as np
import pytest
import torch

from potstill.losses import WKDF
from potstill.losses.wkdf import cells


def test_is_the_wasserstein_distance_of_independent_normals():
    student, teacher = torch.randn(4, 3, 5, 2), torch.rand(4, 6, 5, 2)
    loss = WKDF(ratio=1, eps=1e-12)
    loss.build(student, teacher)
    loss.eval()
    flat = [m.detach().flatten(2).double().numpy() for m in (loss.projector(student), teacher)]
    (mean_s, std_s), (mean_t, std_t) = ((m.mean(axis=2), m.std(axis=2, ddof=1)) for m in flat)
    # Of diagonal covariances, trace(A + B - 2 sqrt(A B)) is the squared difference of the deviations.
    distances = ((mean_s - mean_t) ** 2 + std_s**2 + std_t**2 - 2 * std_s * std_t).sum(axis=1)
    assert loss(student, teacher).item() == pytest.approx(distances.mean(), rel=1e-4)
    assert np.isfinite(distances).all()


def test_cells_overlap_where_they_do_not_divide_a_side():
    maps = torch.arange(7.0).expand(1, 1, 2, 7)
    found = [cell.unique().tolist() for cell in cells(maps, 3)]
    assert found == [[0, 1, 2], [2, 3, 4], [4, 5, 6]] * 3
    assert [cell.shape[2] for cell in cells(maps, 3)] == [3, 3, 3, 6, 6, 6, 3, 3, 3]


def test_a_cell_of_one_position_has_no_deviation():
    student, teacher = torch.randn(4, 3, 2, 2), torch.rand(4, 5, 2, 2)
    loss = WKDF(ratio=1, grid=2, bottleneck=2)
    loss.build(student, teacher)
    projected = loss.projector(student)
    value = loss(student, teacher)
    torch.testing.assert_close(value, (projected - teacher).square().sum() / 16)
