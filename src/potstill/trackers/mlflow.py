"""MLflow: https://mlflow.org/docs/latest. It writes a local database unless ``MLFLOW_TRACKING_URI`` names a server."""

import os
import re
import time
from collections.abc import Iterable
from typing import Any

from potstill.engine.recorders import flat
from potstill.runs.schema import Epoch, Summary
from potstill.trackers.told import PROJECT, Told, outcome

PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
"""Its own environment variables, where the user has not set them: by default it would try for minutes."""
FORBIDDEN = r"[^\w\-. :/]"
"""What the name of a metric or a parameter has not."""
AT_ONCE, LONGEST = 100, 6000
"""Parameters a request, and characters of a value."""


class Mlflow:
    """A run of MLflow. ``MLFLOW_TRACKING_URI`` and ``MLFLOW_EXPERIMENT_NAME`` count."""

    def __init__(self, run: Told) -> None:
        for name, value in PATIENCE.items():
            os.environ.setdefault(name, value)
        from mlflow import MlflowClient

        self.client, self.ended = MlflowClient(), False
        experiment = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
        if run.id is None:
            self.id = self._begin(experiment, run)
        else:
            self.id = run.id
            self.client.update_run(self.id, status="RUNNING")
        self.where = f"experiment {experiment} of {self.client.tracking_uri}, run {self.id}"

    def _begin(self, experiment: str, run: Told) -> str:
        from mlflow.entities import Param

        found = self.client.get_experiment_by_name(experiment)
        number = self.client.create_experiment(experiment) if found is None else found.experiment_id
        begun: str = self.client.create_run(number, run_name=run.name).info.run_id
        parameters = [Param(_allowed(name), str(value)[:LONGEST]) for name, value in run.config.items()]
        for start in range(0, len(parameters), AT_ONCE):
            self.client.log_batch(begun, params=parameters[start : start + AT_ONCE])
        return begun

    def log(self, record: Epoch) -> None:
        """Log every number, at the step of its epoch."""
        self._log(flat(record), record["epoch"])

    def finish(self, summary: Summary) -> None:
        """Log the numbers of the summary."""
        self._log(outcome(summary).items(), summary["epochs"] - 1)
        self.ended = True

    def close(self) -> None:
        """Say how the run ended; one without a summary counts as killed, until it goes on."""
        self.client.set_terminated(self.id, "FINISHED" if self.ended else "KILLED")

    def _log(self, numbers: Iterable[tuple[str, float]], step: int) -> None:
        from mlflow.entities import Metric

        now, metrics = int(time.time() * 1000), dict[str, Any]()
        for name, value in numbers:
            key, count = _allowed(name), 2
            while key in metrics:  # of two names that differ in a sign that it does not take
                key, count = f"{_allowed(name)} {count}", count + 1
            metrics[key] = Metric(key, value, now, step)
        self.client.log_batch(self.id, metrics=list(metrics.values()))


def _allowed(name: str) -> str:
    """A name that MLflow takes.

    >>> _allowed("terms/KD(temperature=4) student")
    'terms/KD_temperature_4_ student'
    """
    return re.sub(FORBIDDEN, "_", name)
