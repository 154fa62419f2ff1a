"""A run on two processes, from its start to its ends: a signal, a killed process, other arguments, other numbers."""

import json
import signal
import time

import pytest

from ranks import several

WORDS = "-m potstill supervised --network resnet8 --data digits --images 120 --test-images 50 --batch-size 31"
MODERN = "--accumulate 2 --ema 0.9 --clip 5 --warmup 1"
LONG = [*WORDS.split(), *MODERN.split(), "--epochs", "2000", "--device", "cpu", "--out"]


@pytest.fixture
def running(tmp_path):
    """Two processes in the middle of a run, after its first epochs."""
    processes = several.start(2, [*LONG, str(tmp_path / "run")])
    deadline = time.monotonic() + 200
    while not (tmp_path / "run" / "last.ckpt").is_file():
        assert time.monotonic() < deadline, "it has not begun"
        assert all(process.poll() is None for process in processes), [p.communicate() for p in processes]
        time.sleep(0.2)
    yield processes
    for process in processes:
        process.kill()


def ends(processes):
    outputs = [process.communicate(timeout=60) for process in processes]
    lines = [[line for line in errors.splitlines() if line.startswith("potstill: ")] for _, errors in outputs]
    return [process.returncode for process in processes], lines, [out for out, _ in outputs]


def test_a_signal_to_one_of_them_stops_all_after_one_step_and_any_number_goes_on(running, tmp_path):
    running[1].send_signal(signal.SIGTERM)
    codes, (first, second), outputs = ends(running)
    assert codes == [143, 143]
    assert [line for line in first if "stopped by SIGTERM" in line] == first[-1:]
    assert "saved in" in first[-1]
    assert second == []
    assert outputs == ["", ""]
    epochs = len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines())
    (alone,) = several.start(1, [*LONG, str(tmp_path / "run")])
    deadline = time.monotonic() + 100
    while len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) <= epochs + 1:
        assert time.monotonic() < deadline
        assert alone.poll() is None, alone.communicate()
        time.sleep(0.2)
    alone.send_signal(signal.SIGINT)
    assert ends([alone])[0] == [130]
    segments = json.loads((tmp_path / "run" / "config.json").read_text())["segments"]
    assert [segment.get("processes") for segment in segments] == [2, None]


def test_one_of_them_speaks_and_the_summary_says_how_many_there_were(tmp_path):
    words = [*WORDS.replace("--images 120", "--images 40").split(), "--epochs", "1", "--device", "cpu", "--out"]
    (first, said, _), (second, *other) = several.run(2, [*words, str(tmp_path / "run")])
    assert (first, second) == (0, 0), other
    assert "student" in said
    assert other == ["", ""]
    processes = json.loads((tmp_path / "run" / "summary.json").read_text())["processes"]
    assert processes == {"count": 2, "whole_batch": [], "batch_norm": "each process's own images"}


def test_a_killed_process_ends_the_others_with_one_line(running, tmp_path):
    running[1].kill()
    began = time.monotonic()
    codes, (first, _), _ = ends(running)
    assert time.monotonic() - began < 60
    assert codes == [3, -9]
    told = [line for line in first if "batch" not in line]
    assert len(told) == 1
    assert "another of the 2 processes of this run has ended; the last good checkpoint is" in told[0]


def test_other_arguments_are_refused_by_one_line_and_nothing_is_written(tmp_path):
    words = [*WORDS.split(), "--out", str(tmp_path / "run"), "--lr"]
    results = several.run(2, [[*words, "0.1"], [*words, "0.2"]])
    assert [code for code, _, _ in results] == [2, 2]
    lines = [line for _, _, errors in results for line in errors.splitlines()]
    assert len(lines) == 1
    assert "rank 1 differs from rank 0: --lr was 0.1 there and is 0.2 now" in lines[0]
    assert not (tmp_path / "run").exists()
