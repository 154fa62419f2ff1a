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


def test_it_goes_on_from_what_it_was_and_takes_no_other_terms():
    meter, other = Meter(["a", "b"], torch.device("cpu")), Meter(["a", "b"], torch.device("cpu"))
    meter.add({"a": torch.tensor(1.0), "b": torch.tensor(float("nan"))}, images=10)
    other.load_state_dict(meter.state_dict())
    assert other.means()["a"] == 1.0
    assert (other.images, other.steps) == (10, 1)
    with pytest.raises(TrainingFailed, match=r"^'b' is not finite at step 0 of epoch 7$"):
        other.check(epoch=7)
    with pytest.raises(ValueError, match="^its terms are a, b, not a, c, d$"):
        Meter(["a", "c", "d"], torch.device("cpu")).load_state_dict(meter.state_dict())
