"""The obvious twins of the renderer: one ray and one sample at a time."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def composite_loop(
    optical: Tensor, rgbs: Tensor, depths: Tensor, *, stop: float = 0.0
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Blend the samples of one ray front to back.

    Args:
        optical: Density times length of each sample, [S].
        rgbs: [S,3].
        depths: [S].
        stop: The sample behind which less light passes takes all the rest.

    Returns:
        Weights [S], color times opacity [3], depth times weight, and what light gets through.
    """
    transmittance, color, depth, weights = 1.0, torch.zeros(3, dtype=rgbs.dtype), 0.0, []
    for thickness, rgb, t in zip(optical.tolist(), rgbs, depths.tolist(), strict=True):
        behind = transmittance * math.exp(-thickness)
        behind = 0.0 if behind < stop else behind
        weight = transmittance - behind
        color, depth = color + weight * rgb, depth + weight * t
        transmittance = behind
        weights.append(weight)
    return torch.tensor(weights), color, torch.tensor(depth), torch.tensor(transmittance)


def march_loop(
    origin: Tensor, direction: Tensor, occupied: Tensor, *, aabb: Tensor, step: float, max_steps: int
) -> list[float]:
    """Return the depths of samples of one ray at (k + 1/2) * step in occupied cells [G,G,G] (z, y, x) of the box."""
    size, depths = occupied.shape[0], []
    for k in range(4000):
        t = (k + 0.5) * step
        position = (origin + t * direction - aabb[0]) / (aabb[1] - aabb[0])
        if bool((position < 0).any()) or bool((position >= 1).any()):
            continue
        x, y, z = (position * size).long().tolist()
        if occupied[z, y, x] and len(depths) < max_steps:
            depths.append(t)
    return depths
