"""Logging of the command-line programs: plain lines on stderr, the same with times in a file."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

PROGRESS_LOGGER = "geneface.progress"
"""Logger of lines that a progress bar shows as well: a terminal hides them, a file keeps them."""


class _PlainFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        prefix = "" if record.levelno < logging.WARNING else f"{record.levelname.lower()}: "
        return prefix + super().format(record)


class _StderrHandler(logging.Handler):
    """Writes lines above a progress bar instead of through it."""

    def emit(self, record: logging.LogRecord) -> None:
        tqdm.write(self.format(record), file=sys.stderr)


def _hide_progress(record: logging.LogRecord) -> bool:
    return record.name != PROGRESS_LOGGER or not sys.stderr.isatty()


def setup_logging(level: int = logging.INFO) -> None:
    """Send log lines of this program to stderr, once; other libraries only from WARNING on."""
    root = logging.getLogger()
    if not any(isinstance(handler, _StderrHandler) for handler in root.handlers):
        handler = _StderrHandler()
        handler.setFormatter(_PlainFormatter("%(message)s"))
        handler.addFilter(_hide_progress)
        root.addHandler(handler)
    root.setLevel(logging.WARNING)
    _set_levels(level)


def _set_levels(level: int) -> None:
    for name in ("utils", "modules", "tasks", "data_gen", "inference", "geneface", "__main__"):
        logging.getLogger(name).setLevel(level)


@contextlib.contextmanager
def log_to_file(path: Path) -> Iterator[None]:
    """Append all log lines of the block to ``path``, with their time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname).1s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    _set_levels(logging.INFO)
    try:
        yield
    finally:
        root.removeHandler(handler)
        handler.close()
