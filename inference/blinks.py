"""Eyelids: find the blinks in a person's own clip and put them where the predicted landmarks have none.

Landmarks are normalized, [T,68,3]: deviations from the person's mean in units of the person's std.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import torch

from inference.voice_activity import runs
from utils.commons.runtime import seeded_generator
from utils.metrics.landmark import eye_opening

logger = logging.getLogger(__name__)

EYES, LIDS_AND_BROWS = slice(36, 48), slice(17, 48)
_FPS, _MARGIN, _LONGEST = 25, 3, 12
_CLOSED_SHARE = 0.65
"""A person whose eyes never go below this share of their usual opening does not blink in the clip."""
_LEAST_GAP_FRAMES, _MOST_PER_MINUTE = 12, 40.0


@dataclass(frozen=True)
class Blinks:
    """A person's blinks and how often they come."""

    shapes: tuple[np.ndarray, ...]
    """Normalized eye points of each blink with three open frames at both ends, [L,12,3]."""
    per_minute: float


def find_blinks(lm3d: np.ndarray, normalized: np.ndarray, pieces: list[tuple[int, int]]) -> Blinks:
    """Collect the blinks in a person's landmarks.

    Args:
        lm3d: Absolute landmarks, cm, [T,68,3].
        normalized: The same, normalized.
        pieces: Half-open ranges without a cut or a lost face inside.
    """
    opening = eye_opening(lm3d)
    inside = np.concatenate([opening[a:b] for a, b in pieces] or [np.zeros(0)])
    if not len(inside):
        return Blinks((), 0.0)
    usual, lowest = float(np.median(inside)), float(np.sort(inside)[: max(2, len(inside) // 500)].mean())
    if lowest > _CLOSED_SHARE * usual:
        return Blinks((), 0.0)
    shapes = []
    for first, last in pieces:
        for start, end, closed in runs(opening[first:last] < (usual + lowest) / 2):
            a, b = first + start - _MARGIN, first + end + _MARGIN
            if closed and 2 <= end - start <= _LONGEST and a >= first and b <= last:
                shapes.append(np.array(normalized[a:b, EYES]))
    return Blinks(tuple(shapes), min(_MOST_PER_MINUTE, len(shapes) * 60 * _FPS / len(inside)))


def inject_period(normalized: np.ndarray, blinks: Blinks) -> np.ndarray:
    """Return the landmarks with the person's median-length blink at even intervals of the person's own rate."""
    if not _usable(blinks):
        return normalized
    shape = sorted(blinks.shapes, key=len)[len(blinks.shapes) // 2]
    interval = _FPS * 60 / blinks.per_minute
    starts = np.arange(interval / 2, len(normalized), max(interval, len(shape))).astype(int)
    return _inject(normalized, [(int(start), shape) for start in starts])


def inject_natural(normalized: np.ndarray, blinks: Blinks, *, seed: int) -> np.ndarray:
    """Return the landmarks with blinks drawn from the person's own, at random intervals of the person's mean rate."""
    if not _usable(blinks):
        return normalized
    generator = seeded_generator(seed, 0xB11)
    mean_wait = max(_FPS * 60 / blinks.per_minute - _LEAST_GAP_FRAMES, 1.0)
    chosen: list[tuple[int, np.ndarray]] = []
    start = 0.0
    while True:
        uniform = torch.rand(2, generator=generator, dtype=torch.float64)
        start += -mean_wait * float(torch.log1p(-uniform[0]))
        if start >= len(normalized):
            return _inject(normalized, chosen)
        shape = blinks.shapes[int(uniform[1] * len(blinks.shapes))]
        chosen.append((int(start), shape))
        start += len(shape) + _LEAST_GAP_FRAMES


def inject_true(normalized: np.ndarray, database: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """Return the landmarks with brows, nose and eyes of the person's frames [T], the ones whose head pose is shown."""
    result = normalized.copy()
    result[:, LIDS_AND_BROWS] = database[frames, LIDS_AND_BROWS]
    return result


def _usable(blinks: Blinks) -> bool:
    if not blinks.shapes:
        logger.warning("no blink found in the person's clip; the eyes stay as predicted")
    return bool(blinks.shapes)


def _inject(normalized: np.ndarray, placed: list[tuple[int, np.ndarray]]) -> np.ndarray:
    result = normalized.copy()
    for start, shape in placed:
        count = min(len(shape), len(result) - start)
        ramp = np.minimum(np.arange(1, len(shape) + 1), np.arange(len(shape), 0, -1)) / (_MARGIN + 1)
        weight = np.minimum(ramp, 1)[:count, None, None].astype(result.dtype)
        eyes = result[start : start + count, EYES]
        result[start : start + count, EYES] = (1 - weight) * eyes + weight * shape[:count]
    return result
