"""Long stages work in chunks of frames, each a file that appears whole: a kill loses at most the chunks in work.

The chunks lie in the stage's unfinished folder. They are taken up again only by a run with the same fingerprint, that
is of the same inputs, configuration and version.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from utils.data.atomic import atomic_path, save_json

if TYPE_CHECKING:
    from data_gen.stages import Progress

CHUNK_FRAMES = 128
CHUNK_FOLDER = "chunks"
_FINGERPRINT = "fingerprint.json"

WriteChunk = Callable[[int, int, Path], None]
"""``write(start, stop, path)``: leave what belongs to the frames from ``start`` to before ``stop`` in a file."""


@contextlib.contextmanager
def resumable_dir(path: Path, fingerprint: Mapping[str, Any], *, fresh: bool = False) -> Iterator[Path]:
    """Yield a temporary folder that replaces ``path`` when the block ends without error.

    Chunks that an earlier run left are in it, if its fingerprint was the same and ``fresh`` is not set.
    """
    temporary = path.with_name(f".{path.name}.part")
    chunks = temporary / CHUNK_FOLDER
    record = chunks / _FINGERPRINT
    if fresh or not record.exists() or json.loads(record.read_text(encoding="utf-8")) != fingerprint:
        shutil.rmtree(temporary, ignore_errors=True)
    _clear(temporary, keep=chunks)
    for unfinished in chunks.glob(".*"):
        unfinished.unlink()
    save_json(record, fingerprint)
    try:
        yield temporary
    except BaseException:
        _clear(temporary, keep=chunks)
        raise
    shutil.rmtree(path, ignore_errors=True)
    os.replace(temporary, path)
    discard_chunks(path)


def discard_chunks(path: Path) -> None:
    """Delete the chunks of a stage that is done."""
    shutil.rmtree(path / CHUNK_FOLDER, ignore_errors=True)


def _clear(folder: Path, *, keep: Path) -> None:
    for entry in folder.iterdir() if folder.exists() else ():
        if entry.is_dir() and entry != keep:
            shutil.rmtree(entry)
        elif entry != keep:
            entry.unlink()


def run_chunks(
    out_dir: Path, num_frames: int, write: WriteChunk, *, threads: int, progress: Progress, size: int = 0
) -> list[Path]:
    """Have ``write`` make, in several threads, the chunks that are not there yet; return all files in order.

    What a chunk holds must depend on its range of frames alone; then results depend neither on the number of threads
    nor on where an earlier run was stopped. ``size`` is in frames, 128 if 0.
    """
    size = size or CHUNK_FRAMES
    spans = [(start, min(start + size, num_frames)) for start in range(0, num_frames, size)]
    paths = [out_dir / CHUNK_FOLDER / f"{start:07d}-{stop:07d}" for start, stop in spans]

    def make(span: tuple[int, int], path: Path) -> int:
        if not path.exists():
            with atomic_path(path) as temporary:
                write(*span, temporary)
        return span[1] - span[0]

    with one_opencv_thread(), ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(make, span, path) for span, path in zip(spans, paths, strict=True)]
        try:
            for _ in progress((frame for future in futures for frame in range(future.result())), total=num_frames):
                pass
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    return paths


@contextlib.contextmanager
def one_opencv_thread() -> Iterator[None]:
    """Keep OpenCV to one thread inside the block, where several threads of our own call it."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def save_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write the arrays of a chunk, one row a frame."""
    from safetensors.numpy import save_file

    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path)


def load_arrays(paths: Sequence[Path]) -> dict[str, np.ndarray]:
    """Return the arrays of chunks joined along the frames."""
    from safetensors.numpy import load_file

    parts = [load_file(path) for path in paths]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
