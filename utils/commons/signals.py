"""Stopping a long run in order: finish the step, save, leave."""

from __future__ import annotations

import contextlib
import signal
import threading
import types
from collections.abc import Iterator


class StopSignal:
    """Turns the first SIGINT or SIGTERM into a wish to stop; the second SIGINT interrupts at once."""

    def __init__(self) -> None:
        self.number = 0

    def _receive(self, number: int, frame: types.FrameType | None) -> None:
        if self.number and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.number = number

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Listen inside the block (in the main thread only: Python allows no other)."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = [signal.signal(number, self._receive) for number in numbers]
        try:
            yield
        finally:
            for number, handler in zip(numbers, before, strict=True):
                signal.signal(number, handler)
