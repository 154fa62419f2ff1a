"""Optuna's studies of a comparison: one a method, kept in one file, so that stopped trials go on."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from potstill.comparing.methods import Method
from potstill.comparing.settings import ranges_of
from potstill.errors import BadInput

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import Trial

JOURNAL = "optuna.log"
REDUCTION = 3
"""One of so many settings goes on at each rung, and is then trained for as many times as long."""
RUNGS = 2
"""Before the end of a run that is long enough."""


class Studies:
    """The studies.

    Args:
        folder: where they are kept.
        epochs: of a trial that goes on to its end.

    Raises:
        BadInput: Optuna is not installed.
    """

    def __init__(self, folder: Path, epochs: int) -> None:
        if importlib.util.find_spec("optuna") is None:
            raise BadInput("--tune: optuna is not installed; it needs: pip install potstill[tune]")
        import optuna
        from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        folder.mkdir(parents=True, exist_ok=True)
        file = str(folder / JOURNAL)
        self.optuna, self.epochs = optuna, epochs
        self.storage = optuna.storages.JournalStorage(JournalFileBackend(file, JournalFileOpenLock(file)))
        self.studies: dict[str, Study] = {}

    def study(self, method: Method) -> "Study":
        """The study of a method; a new one begins with its usual settings."""
        if method.name not in self.studies:
            least = max(1, self.epochs // REDUCTION**RUNGS)
            pruner = self.optuna.pruners.SuccessiveHalvingPruner(min_resource=least, reduction_factor=REDUCTION)
            study = self.optuna.create_study(
                storage=self.storage,
                study_name=method.name,
                direction="maximize",
                pruner=pruner,
                load_if_exists=True,
            )
            if not study.get_trials(deepcopy=False):
                study.enqueue_trial({name: one.usual for name, one in ranges_of(method.usual).items()})
            self.studies[method.name] = study
        return self.studies[method.name]

    def trial(self, method: Method, number: int) -> "Trial | None":
        """The trial of that number, to be run or to be gone on with; None if it is done.

        The sampler is seeded by the number, so that whoever stops in between tries the same settings in the end.
        """
        study = self.study(method)
        trials = study.get_trials(deepcopy=False)
        state = trials[number].state if number < len(trials) else self.optuna.trial.TrialState.WAITING
        if state.is_finished():
            return None
        if state == self.optuna.trial.TrialState.RUNNING:
            known = self.storage.get_study_id_from_name(method.name)
            identity = self.storage.get_trial_id_from_study_id_trial_number(known, number)
            return self.optuna.trial.Trial(study, identity)
        study.sampler = self.optuna.samplers.TPESampler(seed=number)
        return study.ask()

    def judge(self, trial: "Trial") -> Callable[[float, int], bool]:
        """What decides after each epoch whether a trial goes on; epochs that it knows already do not count twice.

        That it does not is kept at once: whoever is killed while the trial's run is being ended would forget it.
        """
        known = trial.study.get_trials(deepcopy=False)[trial.number].intermediate_values
        last = max(known, default=0)

        def goes_on(value: float, epochs: int) -> bool:
            if epochs not in known:
                trial.report(value, epochs)
            if epochs < last or epochs >= self.epochs or not trial.should_prune():
                return True
            trial.study.tell(trial, state=self.optuna.trial.TrialState.PRUNED)
            return False

        return goes_on

    def tell(self, trial: "Trial", *, failed: bool) -> None:
        """Say how a trial ended that was not stopped."""
        if failed:
            trial.study.tell(trial, state=self.optuna.trial.TrialState.FAIL)
        else:
            values = trial.study.get_trials(deepcopy=False)[trial.number].intermediate_values
            trial.study.tell(trial, values[max(values)])

    def told(self, method: Method) -> list[dict[str, Any]]:
        """The trials of a method: settings, how they ended, and what each epoch measured of the held-out images."""
        return [
            {
                "setting": dict(trial.params),
                "state": trial.state.name.lower(),
                "curve": [trial.intermediate_values[epochs] for epochs in sorted(trial.intermediate_values)],
            }
            for trial in self.study(method).get_trials(deepcopy=False)
        ]
