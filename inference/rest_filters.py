"""What a mouth does while nobody speaks: the person's own habit, which need not be a closed mouth.

Pure functions, normalized landmarks [T,68,3] in and out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from inference.mouth_filters import LOWER_FACE, MouthHabits, lower_opening
from inference.voice_activity import runs

_RELAXED_QUANTILE, _SETTLED_QUANTILE = 0.75, 0.25
_LEAST_FRAMES = 25
"""A second of pauses tells how a mouth rests; with less it is taken to be closed."""
_LONG_FRAMES, _SETTLE_FRAMES = 25, 12
_STILL_SIGMA, _STILL_FADE = 2.0, 2
"""Stillness, unlike closing, is right in the shortest pause too."""


@dataclass(frozen=True)
class RestHabits:
    """How far a person's mouth is open in pauses, over the outer eye distance."""

    relaxed: float
    """Three quarters of the frames in pauses are less open."""
    settled: float
    """A quarter is: where a mouth goes that has been resting for long."""


def rest_habits(openings: np.ndarray, silent: np.ndarray, *, closed: float) -> RestHabits:
    """Measure how a mouth rests.

    Args:
        openings: Of training frames, [N].
        silent: Whether nobody speaks in them, [N] bool.
        closed: Opening of the closed mouth, which is the answer where there are no pauses to learn from.
    """
    if silent.sum() < _LEAST_FRAMES:
        return RestHabits(closed, closed)
    settled, relaxed = np.quantile(openings[silent], (_SETTLED_QUANTILE, _RELAXED_QUANTILE))
    return RestHabits(max(float(relaxed), closed), max(float(settled), closed))


def rest_mouth(
    normalized: np.ndarray,
    habits: MouthHabits,
    rest: RestHabits,
    closed: np.ndarray,
    *,
    speaking: np.ndarray,
    weight: np.ndarray,
) -> np.ndarray:
    """Return the landmarks with jaw and mouth, in pauses, still and no more open than the person's own.

    Less open ones stay so. Deep in a long pause the mouth settles further.

    Args:
        normalized: [T,68,3].
        habits: The person's.
        rest: The person's.
        closed: Normalized closed mouth, [68,3].
        speaking: Whether somebody speaks, [T] bool.
        weight: How far the opening is limited, :func:`silence_weight`, [T].
    """
    if speaking.all():
        return normalized
    long = np.clip((silence_depth(speaking) - _LONG_FRAMES) / _SETTLE_FRAMES, 0, 1)
    limit = rest.relaxed + long * (rest.settled - rest.relaxed)
    opening = habits.opening(normalized)
    result = lower_opening(normalized, habits, closed, opening - weight * np.maximum(opening - limit, 0))
    still = gaussian_filter1d(result[:, LOWER_FACE], _STILL_SIGMA, axis=0, mode="nearest")
    share = silence_weight(speaking, _STILL_FADE)[:, None, None].astype(normalized.dtype)
    result = result.copy()
    result[:, LOWER_FACE] = (1 - share) * result[:, LOWER_FACE] + share * still
    return result


def silence_weight(speaking: np.ndarray, fade_frames: int, *, min_frames: int = 1, lead_frames: int = 0) -> np.ndarray:
    """Return 0 in speech and in short pauses, and 1 in silence, [T].

    It rises over ``fade_frames`` after speech and falls over as many before it, all inside the silence; the ends of the
    file have no ramp.

    Args:
        speaking: Whether somebody speaks, [T] bool.
        fade_frames: Length of a ramp.
        min_frames: Shorter pauses count nothing.
        lead_frames: The weight is 0 so long before speech: lips are ready before they are heard.
    """
    weight = np.zeros(len(speaking))
    for start, end, voiced in runs(speaking):
        if not voiced and end - start >= min_frames:
            since, until = _distances(start, end, len(speaking))
            ramp = np.clip(np.minimum(since, until - lead_frames) / (fade_frames + 1), 0, 1)
            weight[start:end] = ramp * ramp * (3 - 2 * ramp)
    return weight


def silence_depth(speaking: np.ndarray) -> np.ndarray:
    """Return the distance to the nearest frame in which somebody speaks, [T] frames; infinite where nobody does."""
    depth = np.zeros(len(speaking))
    for start, end, voiced in runs(speaking):
        if not voiced:
            depth[start:end] = np.minimum(*_distances(start, end, len(speaking)))
    return depth


def _distances(start: int, end: int, total: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the frames since and until speech inside a pause; infinite at the ends of the file."""
    frame = np.arange(start, end, dtype=float)
    never = np.full(len(frame), np.inf)
    return (frame - start + 1 if start else never), (end - frame if end < total else never)
