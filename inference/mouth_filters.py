"""Faults of predicted mouths and their cures: pure functions, normalized landmarks [T,68,3] in and out.

Every bound is the person's own, measured on training frames, so that motion such as the person's passes unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d, maximum_filter1d, uniform_filter1d

from utils.metrics.lipsync import lip_opening

JAW, MOUTH = slice(0, 17), slice(48, 68)
LOWER_FACE = np.r_[JAW, MOUTH]
OPEN_QUANTILE, OPEN_MARGIN = 0.995, 1.1
"""A mouth is too wide beyond the person's own quantile times the margin."""
_CLOSED_PERCENT, _WIDE_PERCENT = 5.0, 95.0
_JERK_WINDOW, _JERK_QUANTILE, _JERK_MARGIN = 5, 0.999, 1.5
_BURST_SIGMA, _BURST_REACH = 2.0, 2
_DRIFT_SIGMA, _DRIFT_MARGIN, _DRIFT_SLACK, _DRIFT_FRAMES = 50.0, 2.0, 0.5, 250
_REACH_QUANTILE = 0.999
_RANGE_FREE, _RANGE_FRAMES = 1.2, 50


@dataclass(frozen=True)
class MouthHabits:
    """How a person's mouth moves; openings over the outer eye distance."""

    mean: np.ndarray
    """[68,3] cm; with ``std`` it undoes the normalization."""
    std: np.ndarray
    """[68,3] cm."""
    closed: float
    """Opening of the closed mouth."""
    wide: float
    """Opening below which 95 % of the frames stay."""
    widest: float
    """Opening below which 99.5 % of the frames stay."""
    jerk: float
    """Second difference over time (rms in std, mean of five frames) that is hardly ever exceeded."""
    slow: np.ndarray
    """[68,3] how far the slow mean of each coordinate strays from zero, std."""
    reach: np.ndarray
    """[2,68,3] the lowest and highest landmarks that are no chance, std."""

    def opening(self, normalized: np.ndarray) -> np.ndarray:
        """Return the lip opening [T] of normalized landmarks."""
        return lip_opening(normalized * self.std + self.mean)


def mouth_habits(
    normalized: np.ndarray, pieces: Sequence[tuple[int, int]], *, mean: np.ndarray, std: np.ndarray
) -> MouthHabits:
    """Measure a person's habits.

    Args:
        normalized: All frames of the clip, [N,68,3].
        pieces: Half-open ranges of training frames without a cut or a lost face inside.
        mean: [68,3] cm.
        std: [68,3] cm.
    """
    inside = np.concatenate([normalized[a:b] for a, b in pieces])
    opening = lip_opening(inside * std + mean)
    jerks = np.concatenate([_local_jerk(normalized[a:b]) for a, b in pieces])
    slow = np.max([np.abs(_slow_part(normalized[a:b])).max(axis=0) for a, b in pieces], axis=0)
    return MouthHabits(
        mean=mean,
        std=std,
        closed=float(opening[opening <= np.percentile(opening, _CLOSED_PERCENT)].mean()),
        wide=float(np.percentile(opening, _WIDE_PERCENT)),
        widest=float(np.quantile(opening, OPEN_QUANTILE)),
        jerk=_JERK_MARGIN * float(np.quantile(jerks, _JERK_QUANTILE)),
        slow=(_DRIFT_MARGIN * slow + _DRIFT_SLACK).astype(np.float32),
        reach=np.quantile(inside, (1 - _REACH_QUANTILE, _REACH_QUANTILE), axis=0).astype(np.float32),
    )


def calm_bursts(normalized: np.ndarray, limit: float) -> np.ndarray:
    """Return the landmarks with stretches that tremble more than ``limit`` smoothed along time; 0 = unchanged."""
    if limit <= 0 or len(normalized) < 3:
        return normalized
    burst = maximum_filter1d((_local_jerk(normalized) > limit).astype(float), 2 * _BURST_REACH + 1, mode="nearest")
    if not burst.any():
        return normalized
    weight = np.maximum(burst, gaussian_filter1d(burst, 1.0, mode="nearest"))[:, None, None].astype(normalized.dtype)
    calm = gaussian_filter1d(normalized, _BURST_SIGMA, axis=0, mode="nearest")
    return np.where(weight > 0, (1 - weight) * normalized + weight * calm, normalized)


def remove_drift(normalized: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """Return the landmarks with the part of their slow mean beyond +-``limits`` [68,3] taken away.

    What is shorter than ten seconds has not drifted yet: its mean is what is being said.
    """
    if len(normalized) < _DRIFT_FRAMES:
        return normalized
    slow = _slow_part(normalized)
    excess = slow - np.clip(slow, -limits, limits)
    return normalized - excess if excess.any() else normalized


def fit_range(normalized: np.ndarray, habits: MouthHabits, closed: np.ndarray, speaking: np.ndarray) -> np.ndarray:
    """Return the landmarks with the lower face drawn back to the person's range if it opens far too wide throughout.

    Up to 1.2 times the person's range nothing changes; from 1.4 times on the result has the person's range.

    Args:
        normalized: [T,68,3].
        habits: The person's.
        closed: Normalized closed mouth, [68,3].
        speaking: Whether somebody speaks, [T] bool; two seconds are needed to judge.
    """
    if speaking.sum() < _RANGE_FRAMES:
        return normalized
    wide = np.percentile(habits.opening(normalized)[speaking], _WIDE_PERCENT)
    ratio = float((wide - habits.closed) / max(habits.wide - habits.closed, 1e-6))
    if ratio <= _RANGE_FREE:
        return normalized
    target = max(1.0, 2 * _RANGE_FREE - ratio)
    return scale_mouth(normalized, closed, target / ratio)


def scale_mouth(normalized: np.ndarray, closed: np.ndarray, amplitude: float) -> np.ndarray:
    """Return the landmarks with the lower face ``amplitude`` times as far from the ``closed`` [68,3] mouth."""
    if amplitude == 1:
        return normalized
    result = normalized.copy()
    rest = closed[LOWER_FACE]
    result[:, LOWER_FACE] = rest + amplitude * (normalized[:, LOWER_FACE] - rest)
    return result


def limit_opening(normalized: np.ndarray, habits: MouthHabits, closed: np.ndarray) -> np.ndarray:
    """Return the landmarks with no mouth opened beyond 1.1 times the person's 99.5 % quantile.

    Wider frames are drawn towards the ``closed`` [68,3] mouth; from the quantile itself on they bend smoothly, below it
    nothing changes.
    """
    knee = habits.widest
    room = max((OPEN_MARGIN - 1) * knee, 1e-6)
    target = habits.opening(normalized)
    target = np.where(target > knee, knee + room * (1 - np.exp(-np.maximum(target - knee, 0) / room)), target)
    return lower_opening(normalized, habits, closed, target)


def lower_opening(normalized: np.ndarray, habits: MouthHabits, closed: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the landmarks with mouths more open than ``target`` [T] drawn towards the ``closed`` [68,3] one."""
    result = normalized
    for _ in range(4):  # the opening is not quite linear along the way to the closed mouth
        opening = habits.opening(result)
        wide = (opening > target + 1e-5) & (opening > habits.closed)
        if not wide.any():
            break
        share = np.where(wide, (opening - target) / np.maximum(opening - habits.closed, 1e-6), 0)
        weight = np.clip(share, 0, 1)[:, None, None].astype(normalized.dtype)
        moved = result.copy()
        moved[:, LOWER_FACE] = (1 - weight) * result[:, LOWER_FACE] + weight * closed[LOWER_FACE]
        result = moved
    return result


def _local_jerk(normalized: np.ndarray) -> np.ndarray:
    """Return the rms second difference of the lower face over time, averaged over five frames, [T]."""
    if len(normalized) < 3:
        return np.zeros(len(normalized))
    second = np.diff(normalized[:, LOWER_FACE], n=2, axis=0)
    jerk = np.pad(np.sqrt(np.square(second).mean(axis=(1, 2))), 1, mode="edge")
    return np.asarray(uniform_filter1d(jerk, _JERK_WINDOW, mode="nearest"))


def _slow_part(normalized: np.ndarray) -> np.ndarray:
    """Return the mean over some four seconds around each frame, [T,68,3]."""
    return np.asarray(gaussian_filter1d(normalized, _DRIFT_SIGMA, axis=0, mode="nearest"))
