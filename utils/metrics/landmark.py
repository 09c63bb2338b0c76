"""How well tracked landmarks of a video follow the true ones: iBUG-68 points [T,68,2 or 3], of which x and y count."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from utils.metrics.lipsync import eye_distance

Pieces = Sequence[tuple[int, int]]
"""Half-open frame ranges without a cut inside."""
MOUTH = slice(48, 68)
CLOSED = 0.02
"""A mouth is closed below this opening, in outer eye distances."""


def lmd(generated: np.ndarray, true: np.ndarray) -> float:
    """Return the mean distance of the mouth points after each frame's mouth is centered, in the points' unit."""
    mouths = [points[:, MOUTH, :2] - points[:, MOUTH, :2].mean(axis=1, keepdims=True) for points in (generated, true)]
    return float(np.linalg.norm(mouths[0] - mouths[1], axis=-1).mean())


def jitter(points: np.ndarray, pieces: Pieces | None = None) -> float:
    """Return the mean length of the second difference over time of all points, over the outer eye distance.

    Args:
        points: [T,68,2 or 3].
        pieces: Differences are taken inside these only; absent: the whole is one piece.

    Returns:
        NaN when no piece has three frames.
    """
    lengths = [
        np.linalg.norm(np.diff(points[start:end, :, :2], n=2, axis=0), axis=-1).ravel()
        for start, end in pieces or [(0, len(points))]
        if end - start >= 3
    ]
    return float(np.concatenate(lengths).mean() / eye_distance(points).mean()) if lengths else float("nan")


def closure(generated_opening: np.ndarray, true_opening: np.ndarray) -> float:
    """Return the share of truly closed frames in which the generated mouth is closed too; NaN if it never closes."""
    closed = np.asarray(true_opening) < CLOSED
    return float((np.asarray(generated_opening)[closed] < CLOSED).mean()) if closed.any() else float("nan")


def silence_leak(opening: np.ndarray, speaking: np.ndarray, pieces: Pieces | None = None) -> float:
    """Return the mean speed of the lip opening over silence divided by that over speech.

    Args:
        opening: Lip opening of each frame, [T].
        speaking: Whether somebody speaks in each frame, [T] bool.
        pieces: Speeds are taken inside these only; absent: the whole is one piece.

    Returns:
        NaN when the sound has no silence or no speech, or the mouth never moves in speech.
    """
    speed = np.abs(np.diff(opening))
    inside = np.ones(len(speed), bool)
    inside[[start - 1 for start, _ in pieces or () if start > 0]] = False
    silent = ~speaking[1:] & ~speaking[:-1] & inside
    voiced = speaking[1:] & speaking[:-1] & inside
    if not silent.any() or not voiced.any() or speed[voiced].mean() < 1e-9:
        return float("nan")
    return float(speed[silent].mean() / speed[voiced].mean())


def eye_opening(points: np.ndarray) -> np.ndarray:
    """Return the mean opening of both eyes over the outer eye distance, [T,68,2 or 3] -> [T]."""
    upper, lower = points[..., [37, 38, 43, 44], :2], points[..., [41, 40, 47, 46], :2]
    return np.linalg.norm(upper - lower, axis=-1).mean(axis=-1) / eye_distance(points)


def aligned_lmd(generated: np.ndarray, true: np.ndarray) -> float:
    """Return the mean distance of the mouth points after each generated mouth is turned and moved onto the true one.

    Heads turn a little differently in the two, which is not the lips' fault; the size is not aligned.
    """
    a, b = (points[:, MOUTH, :2] - points[:, MOUTH, :2].mean(axis=1, keepdims=True) for points in (generated, true))
    cosine = (a * b).sum(axis=(1, 2))
    sine = (a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]).sum(axis=1)
    angle = np.arctan2(sine, cosine)[:, None]
    turned = np.stack(
        [
            np.cos(angle) * a[..., 0] - np.sin(angle) * a[..., 1],
            np.sin(angle) * a[..., 0] + np.cos(angle) * a[..., 1],
        ],
        axis=-1,
    )
    return float(np.linalg.norm(turned - b, axis=-1).mean())


def lip_speed(opening: np.ndarray, pieces: Pieces | None = None) -> float:
    """Return the mean change of a lip opening [T] from frame to frame inside the pieces; NaN without two frames."""
    parts = [np.abs(np.diff(opening[start:end])) for start, end in pieces or [(0, len(opening))]]
    changes = np.concatenate(parts) if parts else np.zeros(0)
    return float(changes.mean()) if len(changes) else float("nan")
