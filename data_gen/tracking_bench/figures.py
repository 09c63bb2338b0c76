"""Figures of one tracked clip, with and without truth.

A tracker's head coordinates differ from the truth's by a fixed turn, shift and scale (conventions, not errors); these
are fitted over the clip and taken out. Notation: x_camera = R x_head + t; "e" estimated, "t" true.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import gaussian_filter1d, maximum_filter1d

from utils.geometry.rotations import angle_between, mean_rotation, vector_from_matrix, world_to_camera_from_c2w
from utils.metrics.lipsync import lip_opening, mouth_height

RIGID = (*range(27, 36), 36, 39, 42, 45)
"""Landmarks that no expression moves: the nose and the corners of the eyes."""
MOUTH = slice(48, 68)
_REST_SHARE = 0.2


def pose_errors(c2w: np.ndarray, true_c2w: np.ndarray) -> dict[str, float]:
    """Return errors of rotation (degrees, median and 95 %) and of translation (share of the distance, median)."""
    rotation, translation = world_to_camera_from_c2w(c2w)
    true_rotation, true_translation = world_to_camera_from_c2w(true_c2w)
    convention = mean_rotation(np.swapaxes(true_rotation, 1, 2) @ rotation)
    angle = angle_between(true_rotation @ convention, rotation)
    rows = np.concatenate([-translation[..., None], true_rotation], axis=2).reshape(-1, 4)
    fitted = np.linalg.lstsq(rows, -true_translation.ravel(), rcond=None)[0]
    apart = (rows @ fitted + true_translation.ravel()).reshape(-1, 3)
    share = np.linalg.norm(apart, axis=1) / np.linalg.norm(true_translation, axis=1)
    return {
        "rotation_deg": float(np.median(angle)),
        "rotation_p95_deg": float(np.percentile(angle, 95)),
        "translation_share": float(np.median(share)),
    }


def mouth_figures(lm3d: np.ndarray, true_lm3d: np.ndarray) -> dict[str, float]:
    """Return how the opening of the mouth (inner lips) and its height (outer ones) in pose-free landmarks [T,68,3] go
    with the true ones."""
    opening, true_opening = lip_opening(lm3d), lip_opening(true_lm3d)
    return {
        "opening_corr": float(np.corrcoef(opening, true_opening)[0, 1]),
        "height_corr": float(np.corrcoef(mouth_height(lm3d), mouth_height(true_lm3d))[0, 1]),
        "opening_amplitude": float(opening.std() / true_opening.std()),
    }


def leakage(lm3d: np.ndarray) -> float:
    """Return the variance over time of landmarks that no expression moves over that of the mouth's."""
    variance = lm3d.astype(np.float64).var(axis=0).sum(axis=-1)
    return float(variance[list(RIGID)].mean() / variance[MOUTH].mean())


def rest_jitter(c2w: np.ndarray, segments: Sequence[tuple[int, int]]) -> float:
    """Return the mean second difference of the rotation (degrees/frame²) over the frames at rest.

    At rest is the fifth of the frames around which (15 frames) the head moves least; judged on an averaged track, so
    that noise itself does not choose. A turning point is no rest: the head is slow there, but not around it.
    """
    rotation = world_to_camera_from_c2w(c2w)[0]
    changes, speeds = [], []
    for start, end in segments:
        if end - start < 5:
            continue
        part = rotation[start:end]
        vectors = np.degrees(vector_from_matrix(part @ mean_rotation(part).T))
        calm = gaussian_filter1d(vectors, 2.0, axis=0, mode="nearest")
        speed = np.linalg.norm(np.gradient(calm, axis=0), axis=1)
        speeds.append(maximum_filter1d(speed, 15, mode="nearest")[1:-1])
        changes.append(np.linalg.norm(np.diff(vectors, 2, axis=0), axis=1))
    speed, change = np.concatenate(speeds), np.concatenate(changes)
    return float(change[speed <= np.quantile(speed, _REST_SHARE)].mean())


def mask_overlap(labels: np.ndarray, alphas: np.ndarray) -> tuple[float, float]:
    """Return the intersection over union of head and of torso in one frame.

    Args:
        labels: Truth, 0 background, 1 head, 2 torso, [H,W].
        alphas: Of head and torso, uint8 [H,W,2].
    """
    found = alphas >= 128
    head, torso = (
        (found[..., k] & (labels == k + 1)).sum() / max(1, (found[..., k] | (labels == k + 1)).sum()) for k in (0, 1)
    )
    return float(head), float(torso)


def cut_figures(found: Sequence[int], true: Sequence[int], visible: Sequence[int]) -> dict[str, float]:
    """Return the shares of true and of visible cuts that were found (to one frame), and how many found are none."""

    def near(cut: int, cuts: Sequence[int]) -> bool:
        return any(abs(cut - other) <= 1 for other in cuts)

    return {
        "cuts_found": float(np.mean([near(cut, found) for cut in true])) if true else 1.0,
        "visible_cuts_found": float(np.mean([near(cut, found) for cut in visible])) if visible else 1.0,
        "false_cuts": float(sum(not near(cut, true) for cut in found)),
    }
