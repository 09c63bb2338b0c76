"""Which state of a post-net is the best: one number from figures of frames the network was not trained on.

Adversarial training wanders, so the newest state need not be good. The score adds, smaller being better,
``lips`` (mean distance of the mouth points over that of a still mean mouth), and a quarter each of ``range`` (distance
of the opening's quantiles from the person's own over their spread), ``speed`` (how far the lips' speed is from the true
one's, as a factor), ``jitter`` (what exceeds 1.2 times the true one's) and ``sync`` (share of windows that a SyncNet
takes for shifted ones).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from modules.audio2motion.figures import motion_figures
from utils.metrics.landmark import lmd
from utils.metrics.lipsync import lip_opening

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
WEIGHTS = {"lips": 1.0, "range": 0.25, "speed": 0.25, "jitter": 0.25, "sync": 0.25}
_FREE_JITTER = 1.2


def selection_terms(
    pred: np.ndarray,
    true: np.ndarray,
    pieces: Sequence[tuple[int, int]],
    *,
    neutral: np.ndarray,
    habits: np.ndarray,
    sync: float,
) -> dict[str, float]:
    """Return the terms of the score.

    Args:
        pred: Predicted landmarks, [T,68,3], cm.
        true: Tracked ones, [T,68,3].
        pieces: Frame ranges without a cut inside.
        neutral: The person's mean landmarks, [68,3].
        habits: Quantiles of the person's opening over all training frames, [5].
        sync: Share of windows a SyncNet places rightly; NaN where it is not known.
    """
    figures = motion_figures(pred, true, pieces)
    still = max(lmd(np.broadcast_to(neutral, true.shape), true), 1e-9)
    off = np.abs(np.quantile(lip_opening(pred), QUANTILES) - habits).mean() / max(habits[-1] - habits[0], 1e-9)
    return {
        "lips": figures["lmd"] / still,
        "range": float(off),
        "speed": abs(math.log(max(figures["lip_speed_ratio"], 1e-3))),
        "jitter": max(0.0, figures["jitter_ratio"] - _FREE_JITTER),
        "sync": 0.0 if math.isnan(sync) else 1 - sync,
    }


def selection_score(terms: dict[str, float]) -> float:
    """Return the weighted sum of the terms; smaller is better."""
    return sum(WEIGHTS[name] * value for name, value in terms.items())


def opening_quantiles(points: np.ndarray) -> np.ndarray:
    """Return the quantiles [5] of the opening of landmarks [T,68,3]."""
    return np.asarray(np.quantile(lip_opening(points), QUANTILES))
