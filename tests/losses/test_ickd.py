import numpy as np
import pytest
import torch

from potstill.losses import ICKD


@pytest.mark.parametrize(("reduction", "divisor"), [("batchmean", 1), ("batchmean / batch", 5)])
def test_cosine_like_products_of_channels(reduction, divisor):
    student, teacher = torch.randn(5, 3, 4, 2), torch.randn(5, 4, 3, 3)
    loss = ICKD(kernel=3, reduction=reduction)
    loss.build(student, teacher)
    loss.eval()
    products = []
    for maps in (loss.connector(student).detach(), teacher):
        flat = maps.flatten(2).numpy().astype("float64")
        gram = np.einsum("ncp,ndp->ncd", flat, flat)
        products.append(gram / np.linalg.norm(gram, axis=2, keepdims=True))
    expected = ((products[0] - products[1]) ** 2).sum() / (4 * 5) / divisor
    assert loss(student, teacher).item() == pytest.approx(expected, rel=1e-5)
    assert loss(student, 7 * teacher).item() == pytest.approx(expected, rel=1e-5)
