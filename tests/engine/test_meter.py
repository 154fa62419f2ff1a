import pytest
import torch

from potstill.engine.meter import Meter
from potstill.errors import TrainingFailed


def test_means_weigh_batches_by_their_images():
    meter = Meter(["a", "b"], torch.device("cpu"))
    meter.add({"a": torch.tensor(1.0), "b": torch.tensor(0.5)}, images=10)
    meter.add({"a": torch.tensor(4.0), "b": torch.tensor(0.5)}, images=5)
    assert meter.means() == {"a": pytest.approx(2.0), "b": pytest.approx(0.5)}
    meter.check(epoch=0)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_names_the_first_term_and_step_that_were_not_finite(value):
    meter = Meter(["a", "b"], torch.device("cpu"))
    for step in range(5):
        b = torch.tensor(value if step in (2, 4) else 1.0)
        a = torch.tensor(value if step >= 3 else 1.0)
        meter.add({"a": a, "b": b}, images=1)
    with pytest.raises(TrainingFailed, match=r"^'b' is not finite at step 2 of epoch 7$"):
        meter.check(epoch=7)
