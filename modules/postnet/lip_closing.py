"""Lips that nearly meet are brought together for a moment, as for a 'p': a prediction passes by instead.

No phones are needed. Where a consonant closes the lips, the predicted opening dips; dips below a threshold of this
person's are pulled shut for three frames. How many of them is chosen on frames the prediction was not fitted on.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from modules.audio2motion.figures import to_points
from utils.metrics.landmark import CLOSED, aligned_lmd, closure
from utils.metrics.lipsync import lip_corr, lip_opening

_DIP_WIDTH, _SHUT_WIDTH = 5, 3
_SOFT_EDGE = 0.25
"""Share of the closing in the frames before and after the three."""
CANDIDATES = (0.0, 1.0, 1.5, 2.0)
"""Thresholds tried: the quantile of the predicted openings at so many times the share of truly closed frames."""
_LOWEST_SHARE, _HIGHEST_QUANTILE = 0.05, 0.9
"""Of somebody whose lips are hardly ever tracked as closed, the most closed twentieth counts as closed."""
_CORR_LOSS, _DISTANCE_LOSS, _LEAST_GAIN = 0.01, 1.015, 0.02


class LipClosing(nn.Module):
    """Shuts the lips at dips of a predicted opening; its two numbers are buffers."""

    threshold: Tensor
    """Dips below this opening are shut; 0 shuts none."""
    touch: Tensor
    """Opening of the shut mouth."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("threshold", torch.zeros(()))
        self.register_buffer("touch", torch.zeros(()))

    def forward(self, motion: Tensor, opening: Tensor, predicted: Tensor, direction: Tensor) -> Tensor:
        """Return the motion with the lips shut.

        Args:
            motion: [B,T,204].
            opening: Its opening, [B,T].
            predicted: The opening in which dips are sought, [B,T].
            direction: How the landmarks follow the opening, [204].
        """
        weight = closing_weight(predicted, self.threshold)
        step = weight * (self.touch - opening).clamp(max=0)
        return motion + step[..., None] * direction

    def fit(
        self,
        predicted: Tensor,
        mapped: Tensor,
        true: Tensor,
        *,
        neutral: Tensor,
        opening: Callable[[Tensor], Tensor],
        direction: Tensor,
    ) -> None:
        """Choose the threshold: the most closed frames found without losing correlation (.01) or distance (1.5 %).

        Args:
            predicted: Motion [N,204] of frames it was not fitted on.
            mapped: The same with the person's openings, [N,204].
            true: Tracked motion [N,204].
            neutral: The person's mean landmarks, [204].
            opening: Motion to opening.
            direction: See :meth:`forward`.
        """
        source, own = opening(predicted), opening(true)
        shut = own <= own.quantile(_LOWEST_SHARE).clamp(min=CLOSED)  # never empty, however still the mouth is
        self.touch.copy_(own[shut].mean())
        share = float(shut.float().mean())
        truth = to_points(true, neutral)

        def figures() -> tuple[float, float, float]:
            points = to_points(self(mapped[None], opening(mapped)[None], source[None], direction)[0], neutral)
            lips, true_lips = lip_opening(points), lip_opening(truth)
            return closure(lips, true_lips), lip_corr(lips, true_lips), aligned_lmd(points, truth)

        self.threshold.zero_()
        before = figures()
        best, chosen = before[0] + _LEAST_GAIN, 0.0
        for times in CANDIDATES[1:]:
            threshold = float(source.quantile(min(_HIGHEST_QUANTILE, times * share)))
            self.threshold.fill_(threshold)
            found, corr, distance = figures()
            if found > best and corr >= before[1] - _CORR_LOSS and distance <= _DISTANCE_LOSS * before[2]:
                best, chosen = found, threshold
        self.threshold.fill_(chosen)


def closing_weight(opening: Tensor, threshold: Tensor) -> Tensor:
    """Return how far the lips are pulled shut, [B,T] in 0-1, for openings [B,T]: 1 around dips below a threshold."""
    padded = F.pad(opening[:, None], (_DIP_WIDTH // 2,) * 2, mode="replicate")
    lowest = -F.max_pool1d(-padded, _DIP_WIDTH, stride=1)[:, 0]
    dip = ((opening <= lowest) & (opening <= threshold) & (threshold > 0)).to(opening.dtype)[:, None]
    shut = F.max_pool1d(dip, _SHUT_WIDTH, stride=1, padding=_SHUT_WIDTH // 2)
    edge = _SOFT_EDGE * F.max_pool1d(shut, 3, stride=1, padding=1)
    return torch.maximum(shut, edge)[:, 0]
