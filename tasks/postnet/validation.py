"""Figures of a post-net on frames of the person it was not trained on, and the choice of its correction's share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from modules.audio2motion.figures import motion_figures, to_points
from modules.postnet.selection import selection_score, selection_terms
from modules.syncnet.model import SyncNet
from modules.syncnet.shift_curve import shift_curve

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
_LEAST_GAIN = 0.005
"""A larger share of the correction must lower the score by this."""


def masked_points(motion: Tensor, mask: Tensor, neutral: Tensor) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Return the landmarks [T,68,3] of the frames [N,L] that count, and the ranges of each row among them."""
    chosen = mask > 0
    counts = chosen.sum(1).tolist()
    ends = torch.tensor(counts).cumsum(0).tolist()
    pieces = [(end - count, end) for count, end in zip(counts, ends, strict=True) if count]
    return to_points(motion[chosen].cpu(), neutral.cpu()), pieces


def sync_share(syncnet: SyncNet | None, batch: dict[str, Tensor], motion: Tensor, mask: Tensor) -> float:
    """Return the share of windows of the frames that count which a SyncNet places rightly; NaN without any."""
    if syncnet is None:
        return float("nan")
    win, total = syncnet.config.sync_win_frames, None
    for row in range(len(motion)):
        frames = torch.nonzero(mask[row]).flatten()
        if len(frames) < win + 3:
            continue
        low, high = int(frames[0]), int(frames[-1]) + 1
        curve = shift_curve(syncnet, batch["speech"][row, 2 * low : 2 * high], motion[row, low:high], win)
        total = curve if total is None else total + curve
    return float("nan") if total is None else total.accuracy()


def choose_share(
    predict: Callable[[float], Tensor],
    batch: dict[str, Tensor],
    *,
    neutral: Tensor,
    habits: np.ndarray,
    syncnet: SyncNet | None,
    shares: tuple[float, ...] = SHARES,
) -> tuple[float, dict[str, float]]:
    """Return the share of the correction with the best score on the selecting frames, and the terms of that score.

    Args:
        predict: Share to motion [N,L,204].
        batch: Of ``PersonTest``.
        neutral: The person's mean landmarks, [204].
        habits: See ``opening_quantiles``.
        syncnet: The expert, if there is one.
        shares: What to choose from, ascending.
    """
    mask = batch["select_mask"]
    true, pieces = masked_points(batch["y"], mask, neutral)
    best: tuple[float, float, dict[str, float]] | None = None
    for share in shares:
        motion = predict(share)
        pred, _ = masked_points(motion, mask, neutral)
        still = neutral.cpu().numpy().reshape(68, 3)
        sync = sync_share(syncnet, batch, motion, mask)
        terms = selection_terms(pred, true, pieces, neutral=still, habits=habits, sync=sync)
        score = selection_score(terms)
        if best is None or score < best[0] - _LEAST_GAIN:
            best = (score, share, terms)
    assert best is not None
    return best[1], {**best[2], "score": best[0]}


def figures_on_test(motion: Tensor, batch: dict[str, Tensor], neutral: Tensor) -> dict[str, float]:
    """Return the figures of a motion [N,L,204] on the test frames, which choose nothing."""
    true, pieces = masked_points(batch["y"], batch["eval_mask"], neutral)
    pred, _ = masked_points(motion, batch["eval_mask"], neutral)
    return motion_figures(pred, true, pieces)


def has_selection(batch: dict[str, Tensor]) -> bool:
    """Return whether a batch holds frames to choose by; a very short clip has none."""
    return bool(batch["select_mask"].sum() >= _LEAST_FRAMES)


_LEAST_FRAMES = 8
