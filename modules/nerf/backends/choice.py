"""From the name of a backend to one that works here."""

from __future__ import annotations

import logging
import time

from torch import Tensor

from modules.nerf.backends.base import Backend, BackendError, Scene
from modules.nerf.fields.head import FrameState
from modules.registry import resolve

logger = logging.getLogger(__name__)

TRUTH = "torch"
COMPILED = ("cpp", "numba")
"""Fastest first."""


def build_backend(name: str, scene: Scene) -> Backend:
    """Return the backend called ``name``; where it cannot work, a warning says why and torch draws instead."""
    cls: type[Backend] = resolve("backend", name)
    try:
        return cls(scene)
    except BackendError as error:
        logger.warning("renderer_backend=%s does not work here: %s; torch draws instead", name, error)
        return resolve("backend", TRUTH)(scene)


def fastest_backend(scene: Scene, state: FrameState, c2w: Tensor) -> Backend:
    """Return the faster of torch and the best compiled backend here; the second of two drawings is timed.

    Numba is tried where ``cpp`` does not work: it is slower throughout, and compiles for many seconds.
    """
    candidates: dict[str, Backend] = {TRUTH: resolve("backend", TRUTH)(scene)} | _compiled(scene)
    seconds = {name: _seconds(backend, state, c2w) for name, backend in candidates.items()}
    best = min(seconds, key=lambda name: seconds[name])
    listed = ", ".join(f"{name} {1000 * value:.0f}" for name, value in seconds.items())
    logger.info("renderer_backend=%s (ms a frame: %s)", best, listed)
    return candidates[best]


def _compiled(scene: Scene) -> dict[str, Backend]:
    """Return the best compiled backend that works here by its name, if one does."""
    for name in COMPILED:
        try:
            return {name: resolve("backend", name)(scene)}
        except BackendError as error:
            logger.info("renderer_backend %s is left out: %s", name, error)
    return {}


def _seconds(backend: Backend, state: FrameState, c2w: Tensor) -> float:
    backend.draw(state, c2w)
    start = time.perf_counter()
    backend.draw(state, c2w)
    return time.perf_counter() - start
