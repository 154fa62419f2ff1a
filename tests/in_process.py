"""Runs of a table in the process of the test: no other one starts, and nothing is imported again."""

from potstill.cli import main
from potstill.tables.jobs import Ended


class InProcess:
    """A place for one run, which has ended when it has been started."""

    host = None

    def __init__(self, started):
        self.started_jobs = started

    def start(self, job):
        self.started_jobs.append(job.name)
        return Done(main(list(job.command[3:])), job)


class Done:
    """A run that has ended with an exit code."""

    def __init__(self, code, job):
        self.code, self.job = code, job

    def poll(self):
        return Ended(None if self.code == 0 else f"exit code {self.code}")

    def ask_to_end(self): ...

    def wait(self, seconds): ...


def run_in_process(monkeypatch, started=None):
    """Have tables run here; the list of the jobs that are started, or that list."""
    started = [] if started is None else started
    monkeypatch.setattr("potstill.tables.runners.local.local", lambda at_once, gpus=(): [InProcess(started)])
    return started
