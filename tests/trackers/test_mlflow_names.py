"""MLflow takes fewer signs in names than ours have: two names that become one stay two metrics."""

from importlib.util import find_spec

import pytest

from potstill.engine.recorders import flat
from potstill.trackers.mlflow import Mlflow


class Client:
    """Stands for MLflow's own, and keeps what it is told."""

    def log_batch(self, run, metrics):
        self.told = run, [(one.key, one.value, one.step) for one in metrics]


@pytest.mark.skipif(find_spec("mlflow") is None, reason="mlflow is not installed")
@pytest.mark.filterwarnings("ignore")  # of its own dependencies
def test_names_that_become_one_are_numbered():
    tracker = Mlflow.__new__(Mlflow)
    tracker.client, tracker.id = Client(), "run"
    terms = {"KD(t=4)": 1.0, "KD[t=4]": 2.0, "CE": 3.0, "KD{t=4}": 4.0}
    record = {"epoch": 7, "lr": 0.5, "terms": terms, "weights": {}, "learners": {}}
    tracker.log(record)
    run, told = tracker.client.told
    assert (run, len(told)) == ("run", len(flat(record)))
    names = {1.0: "terms/KD_t_4_", 2.0: "terms/KD_t_4_ 2", 3.0: "terms/CE", 4.0: "terms/KD_t_4_ 3"}
    assert {one for one in told if one[1] in names} == {(name, value, 7) for value, name in names.items()}
