"""Differences between pictures, and what keeps a volume crisp."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

_SMALLEST_MSE = 1e-10
_WINDOW, _SIGMA = 11, 1.5
_C1, _C2 = 0.01**2, 0.03**2


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


def structural_difference(predicted: Tensor, target: Tensor) -> Tensor:
    """Return one minus the mean structural similarity of patches [F,S,S,3] in [0,1], S >= 11.

    Windows are Gaussian, 11 x 11, sigma 1.5, without padding (Wang et al. 2004, equation 13). A blurred edge costs
    little squared error and much of this.
    """
    line = torch.exp(-0.5 * ((torch.arange(_WINDOW, device=target.device) - _WINDOW // 2) / _SIGMA) ** 2)
    window = (line[:, None] * line / line.sum() ** 2)[None, None]
    a, b = (patch.float().permute(0, 3, 1, 2).reshape(-1, 1, *patch.shape[1:3]) for patch in (predicted, target))
    moments = F.conv2d(torch.cat([a, b, a * a, b * b, a * b], dim=1).flatten(0, 1)[:, None], window)
    mean_a, mean_b, aa, bb, ab = moments.view(len(a), 5, *moments.shape[2:]).unbind(dim=1)
    means = mean_a * mean_b
    covariance, variances = ab - means, aa + bb - mean_a.square() - mean_b.square()
    similar = (2 * means + _C1) * (2 * covariance + _C2)
    return 1 - (similar / ((mean_a.square() + mean_b.square() + _C1) * (variances + _C2))).mean()


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
