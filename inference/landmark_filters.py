"""Post-processing of predicted landmarks: pure functions, normalized landmarks [T,68,3] in and out.

Normalized means deviation from the person's mean in units of the person's std. Order of :func:`apply_filters` is that
of the specification, but smoothing comes before the blinks (they stay sharp) and runs along time.
"""

from __future__ import annotations

import logging

import numpy as np
from scipy.ndimage import gaussian_filter1d, median_filter

from inference.blinks import inject_natural, inject_period, inject_true
from inference.config import FilterConfig
from inference.mouth_filters import calm_bursts, fit_range, limit_opening, remove_drift, scale_mouth
from inference.person_motion import PersonMotion
from inference.rest_filters import RestHabits, rest_mouth, silence_weight
from utils.commons.schema import DataError

logger = logging.getLogger(__name__)

JAW, BROWS, NOSE, EYES, MOUTH = slice(0, 17), slice(17, 27), slice(27, 36), slice(36, 48), slice(48, 68)
UPPER = slice(0, 48)
"""Jaw, brows, nose and eyes: all but the mouth."""
_LLE_NEIGHBORS, _LLE_CHUNK = 10, 256


def apply_filters(
    normalized: np.ndarray,
    person: PersonMotion,
    config: FilterConfig,
    *,
    speaking: np.ndarray,
    path_frames: np.ndarray,
    seed: int,
) -> np.ndarray:
    """Return the landmarks after all filters that are switched on.

    Args:
        normalized: Predicted landmarks, [T,68,3].
        person: The person's own statistics.
        config: Which filters, how strong.
        speaking: Whether somebody speaks in each frame, [T] bool.
        path_frames: Frame of the clip whose head pose each frame shows, [T]; used by blink mode ``gt``.
        seed: Of the random blinks.
    """
    result = _healed(normalized, person, config, speaking)
    result = clamp(result, config.infer_lm3d_clamp_std, own=person.habits.reach)
    result = lle(result, person.database[person.train_frames], config.infer_lm3d_lle_percent)
    result = smooth(result, config.infer_lm3d_smooth_sigma, sigma_mouth=config.infer_lm3d_smooth_sigma_mouth)
    if config.infer_inject_eye_blink_mode == "gt":
        result = inject_true(result, person.database, path_frames)
    elif config.infer_inject_eye_blink_mode == "period":
        result = inject_period(result, person.blinks)
    elif config.infer_inject_eye_blink_mode == "natural":
        result = inject_natural(result, person.blinks, seed=seed)
    if config.infer_close_mouth_when_sil:
        result = _resting(result, person, config, speaking)
    return limit_opening(result, person.habits, person.closed_mouth) if config.infer_limit_opening else result


def _healed(normalized: np.ndarray, person: PersonMotion, config: FilterConfig, speaking: np.ndarray) -> np.ndarray:
    """Return the landmarks without outliers, bursts of jitter, drift and an overall range beyond the person's."""
    habits, closed = person.habits, person.closed_mouth
    result = replace_outliers(normalized, config.infer_lm3d_outlier_std)
    if config.infer_calm_bursts:
        result = calm_bursts(result, habits.jerk)
    if config.infer_remove_drift:
        result = remove_drift(result, habits.slow)
    if config.infer_fit_range:
        result = fit_range(result, habits, closed, speaking)
    return scale_mouth(result, closed, config.infer_mouth_amplitude)


def _resting(normalized: np.ndarray, person: PersonMotion, config: FilterConfig, speaking: np.ndarray) -> np.ndarray:
    """Return the landmarks with the mouth at rest while nobody speaks."""
    weight = silence_weight(
        speaking,
        config.infer_close_mouth_fade_frames,
        min_frames=config.infer_close_mouth_min_frames,
        lead_frames=config.infer_close_mouth_lead_frames,
    )
    shut = RestHabits(person.habits.closed, person.habits.closed)
    return rest_mouth(
        normalized,
        person.habits,
        person.rest if config.infer_rest_mouth == "own" else shut,
        person.closed_mouth,
        speaking=speaking,
        weight=weight,
    )


def replace_outliers(normalized: np.ndarray, threshold: float) -> np.ndarray:
    """Return the landmarks with frames far from the median of their seven neighbours interpolated in time.

    Frames that are not finite are always replaced.

    Raises:
        DataError: No frame is finite.
    """
    good = np.isfinite(normalized).all(axis=(1, 2))
    if not good.any():
        raise DataError("no predicted landmark is finite; the models did not converge, train them again")
    result = _interpolated(normalized, good)
    if threshold > 0:
        usual = median_filter(result, size=(7, 1, 1), mode="nearest")
        distance = np.sqrt(np.square(result - usual).mean(axis=(1, 2)))
        near = distance <= threshold
        good = good & near if (good & near).any() else good
    if not good.all():
        logger.warning("%d of %d predicted frames were outliers and are interpolated", (~good).sum(), len(good))
    return _interpolated(result, good)


def clamp(normalized: np.ndarray, limit: float, *, own: np.ndarray | None = None) -> np.ndarray:
    """Return the landmarks within +-limit std; brows and eyes within half of it in x and y. 0 = unchanged.

    Args:
        normalized: [T,68,3].
        limit: In std.
        own: How far the person's own landmarks reach, [2,68,3] lowest and highest: never clamped below that.
    """
    if limit <= 0:
        return normalized
    limits = np.full((68, 3), limit, normalized.dtype)
    limits[BROWS, :2] = limits[EYES, :2] = limit / 2
    low, high = (-limits, limits) if own is None else (np.minimum(-limits, own[0]), np.maximum(limits, own[1]))
    return np.clip(normalized, low, high)


def smooth(normalized: np.ndarray, sigma: float, *, sigma_mouth: float) -> np.ndarray:
    """Return the landmarks after a Gaussian along time, with its own sigma for the mouth."""
    result = normalized.copy()
    for points, width in ((UPPER, sigma), (MOUTH, sigma_mouth)):
        if width > 0:
            result[:, points] = gaussian_filter1d(normalized[:, points], width, axis=0, mode="nearest")
    return result


def lle(normalized: np.ndarray, database: np.ndarray, percent: float) -> np.ndarray:
    """Return all but the mouth moved by ``percent`` towards their projection on the 10 nearest database frames."""
    if percent <= 0:
        return normalized
    result = normalized.copy()
    neighbors = min(_LLE_NEIGHBORS, len(database))
    flat = database[:, UPPER].reshape(len(database), -1)
    for start in range(0, len(normalized), _LLE_CHUNK):
        queries = normalized[start : start + _LLE_CHUNK, UPPER].reshape(-1, flat.shape[1])
        fused, _ = lle_project(queries, flat, neighbors)
        moved = percent * fused + (1 - percent) * queries
        result[start : start + len(queries), UPPER] = moved.reshape(len(queries), -1, 3)
    return result


def lle_project(queries: np.ndarray, database: np.ndarray, neighbors: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the affine combination of the nearest database rows that is nearest to each query, and its weights.

    Weights sum to one and are ordered from the nearest row on. The normal equations are solved with the nearest row as
    origin and a ridge of 1e-6 of their trace, so that repeated rows do no harm.

    Args:
        queries: [T,D].
        database: [N,D].
        neighbors: Rows combined, at most N.

    Returns:
        [T,D] and [T,neighbors].
    """
    squared = np.square(queries).sum(1)[:, None] - 2 * queries @ database.T + np.square(database).sum(1)
    nearest = np.argsort(squared, axis=1, kind="stable")[:, :neighbors]
    rows = database[nearest].astype(np.float64)
    edges = rows[:, 1:] - rows[:, :1]
    gram = edges @ edges.transpose(0, 2, 1)
    ridge = 1e-6 * np.trace(gram, axis1=1, axis2=2) + 1e-12
    gram = gram + ridge[:, None, None] * np.eye(neighbors - 1)
    target = edges @ (queries - rows[:, 0])[..., None]
    others = np.linalg.solve(gram, target)[..., 0]
    weights = np.concatenate([1 - others.sum(1, keepdims=True), others], axis=1)
    return (weights[:, None] @ rows)[:, 0].astype(queries.dtype), weights


def _interpolated(sequence: np.ndarray, good: np.ndarray) -> np.ndarray:
    """Return the sequence [T,...] with the frames that are not ``good`` interpolated between their good neighbours."""
    if good.all():
        return sequence
    frames, known = np.arange(len(sequence)), np.flatnonzero(good)
    position = np.interp(frames, known, np.arange(len(known)))
    low = np.floor(position).astype(int)
    high = np.minimum(low + 1, len(known) - 1)
    share = (position - low)[:, None, None].astype(sequence.dtype)
    values = sequence[known]
    return np.where(good[:, None, None], sequence, (1 - share) * values[low] + share * values[high])
