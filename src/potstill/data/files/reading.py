"""Reading one image after the other, and never waiting for one of them."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from potstill.data.files.decoding import BadImage, Pixels, decode
from potstill.data.files.encoded import Encoded

PATIENCE = 30.0
"""Seconds after which an image counts as one that cannot be read: its disk hangs, or it was made to be slow."""


class Reader:
    """Decodes the images of a split.

    Args:
        images: the encoded images.
        patience: seconds for one image. The limit holds in the main thread of a process, as a loader's workers are,
            and where the system has alarms (not on Windows).
    """

    def __init__(self, images: Encoded, patience: float = PATIENCE) -> None:
        self.images, self.patience = images, patience

    def pixels(self, row: int) -> Pixels:
        """An image's pixels (H, W, 3).

        Raises:
            BadImage: it cannot be read, cannot be decoded, or takes too long.
        """
        return self.both(row)[1]

    def both(self, row: int) -> tuple[bytes, Pixels]:
        """The content of an image's file, and its pixels; errors as `pixels`."""
        try:
            with _alarm(self.patience):
                content = self.images.read(row)
                return content, decode(content, self.images.bits)
        except BadImage:
            raise
        except OSError as error:
            raise BadImage(error.strerror or str(error)) from error
        except ValueError as error:
            raise BadImage(str(error)) from error


@contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """Raise ``TimeoutError`` inside, after that many seconds."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "SIGALRM"):
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"it takes longer than {seconds:g} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
