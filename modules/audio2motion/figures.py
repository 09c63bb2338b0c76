"""Figures that tell good motion from bad; one definition for audio2motion and postnet."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from utils.metrics.landmark import jitter, lmd
from utils.metrics.lipsync import lip_corr, lip_opening


def to_points(deviation: Tensor, neutral: Tensor) -> np.ndarray:
    """Return absolute landmarks [T,68,3] in cm of deviations [T,204] and a neutral shape [204]."""
    return (deviation.detach().float() + neutral).cpu().numpy().reshape(-1, 68, 3)


def motion_figures(
    pred: np.ndarray, true: np.ndarray, pieces: Sequence[tuple[int, int]] | None = None
) -> dict[str, float]:
    """Return how well predicted landmarks [T,68,3] (cm) follow the true ones.

    Args:
        pred: Predicted, [T,68,3].
        true: Tracked, [T,68,3].
        pieces: Frame ranges without a cut inside; motion is compared inside these only.

    Returns:
        ``lip_corr`` of the inner-lip opening, ``lmd`` in cm, ``jitter_ratio``, ``lip_speed_ratio`` (1 = as the truth).
    """
    opening, truth = lip_opening(pred), lip_opening(true)
    ranges = list(pieces or [(0, len(true))])
    speed, true_speed = (np.concatenate([np.abs(np.diff(o[a:b])) for a, b in ranges]) for o in (opening, truth))
    still = max(float(true_speed.mean()) if len(true_speed) else 0.0, 1e-9)
    return {
        "lip_corr": lip_corr(opening, truth),
        "lmd": lmd(pred, true),
        "jitter_ratio": jitter(pred, ranges) / max(jitter(true, ranges), 1e-9),
        "lip_speed_ratio": float(speed.mean()) / still if len(speed) else 0.0,
    }
