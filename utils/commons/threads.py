"""Work on the parts of a clip in several threads, in order and in bounded memory."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")


def num_threads(num_workers: int) -> int:
    """Return ``num_workers``, or the number of cores this process may use where it is 0."""
    return num_workers or len(os.sched_getaffinity(0))


def ordered_map(function: Callable[[A], B], items: Iterable[A], threads: int) -> Iterator[B]:
    """Yield ``function(item)`` in the order of ``items``; at most three items a thread are held.

    The heavy libraries (OpenCV, MediaPipe, NumPy, onnxruntime) let other threads run meanwhile. Results do not depend
    on their number.
    """
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[B]] = deque()
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) >= 3 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
