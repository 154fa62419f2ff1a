import io

import pytest
from rich.console import Console

from potstill.engine.progress import REFRESH_SECONDS, Progress

RECORD = {
    "epoch": 2,
    "images_per_second": 1234.5,
    "terms": {"CE student": 0.5, "KD student": 1.25},
    "weights": {"CE student": 1, "KD student": 0.9},
    "learners": {"student": {"test": {"top1": 91.73}}},
}


def watch(terminal: bool) -> str:
    screen = io.StringIO()
    progress = Progress(epochs=5, steps=10, done=2)
    progress.console = progress.live.console = Console(file=screen, force_terminal=terminal, width=200)
    with progress:
        progress.say("run: epoch 2 of 5")
        progress.step(4, 1234.5, RECORD["terms"], RECORD["weights"])
        progress.epoch(RECORD)
        progress.step(1, 1234.5, RECORD["terms"], RECORD["weights"])
    return screen.getvalue()


@pytest.mark.parametrize("terminal", [True, False])
def test_says_epoch_speed_terms_accuracy_and_time_left(terminal):
    shown = watch(terminal)
    for part in ("epoch   2", "1234 images/s", "CE student 0.5", "  0.9 * KD student 1.25", "student 91.73 %", "left"):
        assert part in shown, part


def test_a_terminal_also_gets_a_live_line_and_a_file_plain_lines_only():
    assert "epoch 2/5" in watch(terminal=True)
    plain = watch(terminal=False)
    assert len(plain.splitlines()) == 2
    assert "\x1b" not in plain


def test_the_time_left_is_that_of_the_epochs_done_here():
    screen = io.StringIO()
    progress = Progress(epochs=5, steps=10, done=2)
    progress.console = progress.live.console = Console(file=screen, force_terminal=True, width=200)
    with progress:
        progress.started -= 100  # for half an epoch, one, and one and a half
        assert lines(progress, 5) == [f"epoch 2/5  {'━' * 12}{' ' * 12}  1234 images/s  {TERMS}  -  0:08:20 left"]
        progress.epoch(RECORD)
        left = f"{TERMS}  student 91.73 %"
        assert lines(progress, 5) == [f"epoch 3/5  {'━' * 12}{' ' * 12}  1234 images/s  {left}  0:01:40 left"]
    assert f"epoch   2  1234 images/s  {left}  0:03:20 left" in screen.getvalue()


def test_the_devices_numbers_are_looked_at_now_and_then():
    progress = Progress(epochs=5, steps=10, done=2)
    progress.step(1, 1234.5, RECORD["terms"], RECORD["weights"])
    assert not progress.due()
    progress.shown -= 2 * REFRESH_SECONDS
    assert progress.due()


TERMS = "CE student 0.5  0.9 * KD student 1.25"


def lines(progress, step):
    """What the live line shows."""
    progress.step(step, 1234.5, RECORD["terms"], RECORD["weights"])
    plain = Console(file=io.StringIO(), width=200)
    plain.print(progress.live.renderable)
    return [line.rstrip() for line in plain.file.getvalue().splitlines()]


@pytest.mark.parametrize("epochs", [10**6, 10**18, 2**63 - 1, 10**30])
def test_c11_any_number_of_epochs_has_a_time_left(epochs, capsys):
    with Progress(epochs=epochs, steps=None, done=0) as progress:
        progress.started -= 10**6
        progress.epoch(RECORD)
    assert "left" in capsys.readouterr().err
