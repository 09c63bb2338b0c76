"""A monotone map of the lip opening: predicted mouths get the distribution of the person's own openings.

A prediction is the mean of what could follow a sound: it opens too little and, worse, never quite closes. The map
matches quantiles, found on frames the prediction was not fitted on, and moves jaw and lips along the direction in which
this person's landmarks follow the opening, so that rounding and spreading stay. Lips are closed whatever the fit is
worth; they are opened wider only as far as the prediction explains the opening or much video is there to go by, since
a wide mouth at the wrong moment is worse than a timid one.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

NUM_KNOTS = 33
_LARGEST_STEP = 1.0
"""Openings move by at most this many of the person's standard deviations."""
_LITTLE_VIDEO, _MUCH_VIDEO = 500, 5000
_LOWER_FACE = torch.cat([torch.arange(0, 51), torch.arange(144, 204)])


class OpeningMap(nn.Module):
    """Changes motion [B,T,204] so that the lip opening follows the fitted map; its numbers are buffers."""

    neutral: Tensor
    direction: Tensor
    source: Tensor
    target: Tensor
    spread: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("neutral", torch.zeros(204))
        self.register_buffer("direction", torch.zeros(204))
        self.register_buffer("source", torch.linspace(0, 1, NUM_KNOTS))
        self.register_buffer("target", torch.linspace(0, 1, NUM_KNOTS))
        self.register_buffer("spread", torch.zeros(()))

    def opening(self, motion: Tensor) -> Tensor:
        """Return the distance of points 62 and 66 over that of the outer eye corners, [B,T]."""
        points = (motion + self.neutral).unflatten(-1, (68, 3))[..., :2]
        eyes = torch.linalg.vector_norm(points[..., 36, :] - points[..., 45, :], dim=-1)
        return torch.linalg.vector_norm(points[..., 62, :] - points[..., 66, :], dim=-1) / eyes

    def fit(self, predicted: Tensor, true: Tensor, neutral: Tensor) -> None:
        """Find the map.

        Args:
            predicted: Motion [N,204] of frames it was not fitted on.
            true: Tracked motion [N,204] of the same frames.
            neutral: The person's mean landmarks, [204].
        """
        self.neutral.copy_(neutral)
        source, target = self.opening(predicted), self.opening(true)
        levels = torch.linspace(0, 1, NUM_KNOTS, device=source.device)
        levels = levels.clamp(0.005, 0.995)  # the very ends are chance
        self.source.copy_(source.quantile(levels) + 1e-6 * torch.arange(NUM_KNOTS))
        wanted = target.quantile(levels)
        rise = (wanted - self.source).clamp(min=0)
        self.target.copy_(wanted - (1 - widening(source, target)) * rise)
        centered = target - target.mean()
        slope = (centered[:, None] * (true - true.mean(0))).sum(0) / centered.square().sum().clamp(min=1e-12)
        self.direction.zero_()
        self.direction[_LOWER_FACE] = slope[_LOWER_FACE]
        self.spread.copy_(target.std())

    def forward(self, motion: Tensor) -> Tensor:
        """Map motion [B,T,204]."""
        opening = self.opening(motion)
        right = torch.searchsorted(self.source, opening.contiguous()).clamp(1, NUM_KNOTS - 1)
        low, high = self.source[right - 1], self.source[right]
        share = ((opening - low) / (high - low)).clamp(0, 1)
        wanted = self.target[right - 1] + share * (self.target[right] - self.target[right - 1])
        wanted = wanted + torch.where(opening > self.source[-1], opening - self.source[-1], torch.zeros_like(opening))
        limit = _LARGEST_STEP * self.spread
        step = (wanted - opening).clamp(-limit, limit)
        return motion + step[..., None] * self.direction


def widening(predicted: Tensor, true: Tensor) -> float:
    """Return how much of a missing opening may be added, 0-1, by openings [N] predicted without a frame and true ones.

    It is 2 r^2 - 1 with the correlation r, nothing where half of the variance or less is explained; but at least in
    proportion to the video, from nothing at 20 s to all at 200 s.
    """
    a, b = predicted - predicted.mean(), true - true.mean()
    r = (a * b).mean() / (a.std() * b.std()).clamp(min=1e-12)
    video = (len(true) - _LITTLE_VIDEO) / (_MUCH_VIDEO - _LITTLE_VIDEO)
    return min(max(float(2 * r.clamp(min=0).square() - 1), video, 0.0), 1.0)
