"""Keep the start-up chatter of native libraries out of a user's terminal, and nothing else."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_NOISE = re.compile(
    r"Created TensorFlow Lite XNNPACK delegate"
    r"|inference_feedback_manager\.cc"
    r"|landmark_projection_calculator\.cc"
    r"|All log messages before absl::InitializeLog\(\)"
    r"|gl_context"
)
_lock = threading.Lock()
_users = 0
_saved: tuple[int, int] = (-1, -1)


@contextmanager
def quiet_native_stderr() -> Iterator[None]:
    """Hold back what is written to file descriptor 2 meanwhile; afterwards pass on all lines but known chatter.

    Threads may overlap: what was held back comes out when the last of them leaves. Keep it short: a crash inside loses
    the lines held.
    """
    _enter()
    try:
        yield
    finally:
        _leave()


def _enter() -> None:
    global _users, _saved
    with _lock:
        if _users == 0:
            sys.stderr.flush()
            with tempfile.TemporaryFile() as holder:
                _saved = (os.dup(2), os.dup(holder.fileno()))
            os.dup2(_saved[1], 2)
        _users += 1


def _leave() -> None:
    global _users
    with _lock:
        _users -= 1
        if _users:
            return
        sys.stderr.flush()
        terminal, held = _saved
        os.dup2(terminal, 2)
        os.lseek(held, 0, os.SEEK_SET)
        with os.fdopen(held, "rb") as file:
            kept = [line for line in file if not _NOISE.search(line.decode(errors="replace"))]
        os.write(terminal, b"".join(kept))
        os.close(terminal)
