"""What is said while a table runs."""

from pathlib import Path

from potstill.tables.jobs import Job
from potstill.tables.progress import TableProgress


def test_a_line_for_each_run_with_counts_and_time_left(capsys, monkeypatch):
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr("potstill.tables.progress.time.monotonic", lambda: float(next(clock)))
    a, b = (Job(name, (), Path(f"{name}.log")) for name in "ab")
    with TableProgress(present=1, missing=5, at_once=1) as progress:
        progress.started(a)  # at 0 s
        progress.ended(a, None)  # at 10 s
        progress.started(b)
        progress.ended(b, "no data here")
        progress.tick()
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "a: started, log in a.log",
        "a: done in 0:00:10; 2 of 6 runs done, 0 running, about 0:00:40 left",
        "b: started, log in b.log",
        "b: no data here; 2 of 6 runs done, 0 running, 1 failed, about 0:00:30 left",
    ]
