"""Frames of one video split over processes or over torchrun's ranks; they come back in order."""

from __future__ import annotations

import collections
import concurrent.futures
import itertools
import multiprocessing
from collections.abc import Callable, Iterator

import numpy as np
import torch

from inference.config import InferConfig
from modules.nerf.renderers.base import PersonRenderer
from utils.commons import distributed
from utils.commons.machine import usable_cores

_BLOCK = 4
"""Frames that one process draws in a row."""

_here: dict[str, tuple[PersonRenderer, object, np.ndarray]] = {}
"""In a worker process: renderer, conditions and poses of the video."""


def frames_from_processes(config: InferConfig, lm3d: np.ndarray, c2w: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the pictures uint8 [H,W,3] of landmarks [T,68,3] and poses [T,4,4]; ``num_workers`` processes draw them.

    Each of them loads the renderer by itself and takes its share of the cores.
    """
    number = min(config.num_workers, -(-len(lm3d) // _BLOCK))
    threads = max(1, usable_cores() // number)
    starts = iter(range(0, len(lm3d), _BLOCK))
    context = multiprocessing.get_context("spawn")
    own = config.model_copy(update={"num_workers": 1})
    with concurrent.futures.ProcessPoolExecutor(number, context, _prepare, (own, lm3d, c2w, threads)) as pool:
        ahead = collections.deque(pool.submit(_draw_block, start) for start in itertools.islice(starts, 2 * number))
        while ahead:
            block = ahead.popleft().result()
            ahead.extend(pool.submit(_draw_block, start) for start in itertools.islice(starts, 1))
            yield from block


def _prepare(config: InferConfig, lm3d: np.ndarray, c2w: np.ndarray, threads: int) -> None:
    from inference.pipeline import TalkingHead  # it imports this file

    torch.set_num_threads(threads)
    renderer = TalkingHead(config=config).renderer
    _here["video"] = renderer, renderer.conditions(lm3d), c2w


def _draw_block(start: int) -> np.ndarray:
    renderer, conditions, c2w = _here["video"]
    return np.stack([renderer.render(conditions, t, c2w[t]) for t in range(start, min(start + _BLOCK, len(c2w)))])


def frames_of_ranks(draw: Callable[[int], np.ndarray], number: int, size: tuple[int, int]) -> Iterator[np.ndarray]:
    """Yield in rank 0 all ``number`` pictures uint8 [H,W,3], each block drawn by the rank whose turn it is.

    Other ranks draw their blocks, send them and yield nothing.
    """
    rank, world = distributed.rank_and_size()
    for turn, start in enumerate(range(0, number, _BLOCK)):
        frames = range(start, min(start + _BLOCK, number))
        owner = turn % world
        if owner == rank:
            pictures = [draw(t) for t in frames]
            if rank:
                distributed.send_bytes(np.stack(pictures), to=0)
            else:
                yield from pictures
        elif rank == 0:
            yield from distributed.receive_bytes((len(frames), *size, 3), source=owner)
