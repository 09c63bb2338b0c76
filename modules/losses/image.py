"""Differences between pictures, and what keeps a volume crisp."""

from __future__ import annotations

import torch
from torch import Tensor

_SMALLEST_MSE = 1e-10


def mse(predicted: Tensor, target: Tensor) -> Tensor:
    """Return the mean squared difference."""
    return (predicted - target).square().mean()


def psnr(predicted: Tensor, target: Tensor) -> float:
    """Return the peak signal-to-noise ratio in dB of values in [0,1]; equal pictures give 100."""
    return float(-10 * torch.log10(mse(predicted, target).clamp(min=_SMALLEST_MSE)))


def box_psnr(predicted: Tensor, target: Tensor, box: tuple[int, int, int, int]) -> float:
    """Return the psnr of pictures [H,W,3] inside ``box`` (x, y, width, height), clipped to the picture."""
    x, y, width, height = box
    rows, columns = slice(max(y, 0), max(y + height, 0)), slice(max(x, 0), max(x + width, 0))
    return psnr(predicted[rows, columns], target[rows, columns])


def opacity_entropy(opacity: Tensor) -> Tensor:
    """Return the mean binary entropy in bits of opacities in [0,1]: 0 where every ray is clear or opaque."""
    alpha = opacity.clamp(1e-5, 1 - 1e-5)
    return -(alpha * alpha.log2() + (1 - alpha) * (1 - alpha).log2()).mean()


def depth_spread(weights: Tensor, depths: Tensor, ray_index: Tensor, *, num_rays: int) -> Tensor:
    """Return the weighted variance of sample depths along rays, mean over rays: 0 where surfaces are thin.

    Args:
        weights: Rendering weights of packed samples, [P].
        depths: Their depths, [P].
        ray_index: Their rays, [P].
        num_rays: Rays, also those without a sample.
    """
    if len(weights) == 0:
        return weights.sum()
    with torch.no_grad():
        total = weights.new_zeros(num_rays).index_add(0, ray_index, weights)
        center = weights.new_zeros(num_rays).index_add(0, ray_index, weights * depths) / total.clamp(min=1e-6)
        squared = (depths - center[ray_index]).square()
    return (weights * squared).sum() / num_rays


def total_variation(grid: Tensor) -> Tensor:
    """Return the mean squared difference of neighbouring nodes of grids [...,H,W]."""
    rows, columns = grid.diff(dim=-2), grid.diff(dim=-1)
    return rows.square().mean() + columns.square().mean()
