"""Rays through a coarse and a fine network, as NeRF does it (specification 5.4): the twin of the original's renderer.

The last sample of a ray lies at the far depth and shows the background; what reaches it is the ray's transparency.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from modules.nerf.fields.vanilla import VanillaConfig
from modules.nerf.precision import full_precision

_LAST_LENGTH = 1e10
_DENSITY_FLOOR, _TRANSPARENCY_FLOOR, _PDF_FLOOR = 1e-6, 1e-10, 1e-5


@dataclass(frozen=True)
class Blend:
    """What N rays see before the background."""

    rgb: Tensor
    """[N,3] color times opacity."""
    transparency: Tensor
    """[N] share of the background in the pixel, the weight of the last sample."""
    weights: Tensor
    """[N,S] of all samples."""

    def over(self, background: Tensor) -> Tensor:
        """Return the colors [N,3] before a background [N,3]."""
        return self.rgb + self.transparency[:, None] * background


def even_depths(near: float, far: float, number: int, *, jitter: Tensor | None, like: Tensor) -> Tensor:
    """Return depths [N,number] for the N rays of ``like`` [N,...], evenly from near to far.

    Args:
        near: First depth.
        far: Last depth.
        number: Samples of a ray.
        jitter: Where in its stretch each sample of a ray lies, [N] in [0,1); the last sample stays at far.
        like: Gives number of rays, device and type.
    """
    u = torch.linspace(0, 1, number, device=like.device, dtype=like.dtype)
    depths = (near * (1 - u) + far * u).expand(len(like), number)
    if jitter is None:
        return depths
    middles = 0.5 * (depths[:, 1:] + depths[:, :-1])
    lower, upper = torch.cat([depths[:, :1], middles], dim=1), torch.cat([middles, depths[:, -1:]], dim=1)
    share = jitter[:, None].expand(-1, number).clone()
    share[:, -1] = 1
    return lower + (upper - lower) * share


def sample_pdf(bins: Tensor, weights: Tensor, number: int, *, jitter: Tensor | None = None) -> Tensor:
    """Return ``number`` depths of each ray, drawn by the inverse of a piecewise linear distribution, ascending.

    Args:
        bins: Edges, [N,B] or [B].
        weights: Of the stretches between them, [N,B-1].
        number: Depths wanted.
        jitter: Where in its share of the probability each depth lies, [N] in [0,1); absent: both ends are among them.
    """
    pdf = weights + _PDF_FLOOR
    cdf = torch.cumsum(pdf, dim=-1) / pdf.sum(dim=-1, keepdim=True)
    cdf = torch.cat([torch.zeros_like(cdf[:, :1]), cdf], dim=-1)
    bins = bins.expand(len(cdf), -1)
    if jitter is None:
        u = torch.linspace(0, 1, number, device=cdf.device, dtype=cdf.dtype).expand(len(cdf), number)
    else:
        u = (torch.arange(number, device=cdf.device) + jitter[:, None]) / number
    above = torch.searchsorted(cdf, u.contiguous(), right=True)
    below, above = (above - 1).clamp(min=0), above.clamp(max=cdf.shape[1] - 1)
    low, high = cdf.gather(1, below), cdf.gather(1, above)
    span = high - low
    share = (u - low) / torch.where(span < _PDF_FLOOR, torch.ones_like(span), span)
    start, end = bins.gather(1, below), bins.gather(1, above)
    return start + share * (end - start)


def blend_samples(raw: Tensor, depths: Tensor, directions: Tensor) -> Blend:
    """Blend samples along rays.

    Args:
        raw: Color before the sigmoid and density before the ReLU, [N,S,4].
        depths: [N,S] ascending.
        directions: [N,3], any length.
    """
    lengths = torch.cat([depths.diff(dim=1), torch.full_like(depths[:, :1], _LAST_LENGTH)], dim=1)
    lengths = lengths * directions.norm(dim=-1, keepdim=True)
    alphas = 1 - torch.exp(-(raw[..., 3].relu() + _DENSITY_FLOOR) * lengths)
    through = torch.cumprod(1 - alphas + _TRANSPARENCY_FLOOR, dim=1)
    weights = alphas * torch.cat([torch.ones_like(through[:, :1]), through[:, :-1]], dim=1)
    rgb = (weights[:, :-1, None] * torch.sigmoid(raw[:, :-1, :3])).sum(dim=1)
    return Blend(rgb, weights[:, -1], weights)


@full_precision
def fine_depths(depths: Tensor, weights: Tensor, number: int, *, jitter: Tensor | None) -> Tensor:
    """Return the coarse depths [N,S] and ``number`` more where the coarse weights are, sorted, [N,S+number]."""
    middles = 0.5 * (depths[:, 1:] + depths[:, :-1])
    added = sample_pdf(middles, weights[:, 1:-1].detach(), number, jitter=jitter)
    return torch.cat([depths, added], dim=1).sort(dim=1).values


def render_hierarchical(
    networks: tuple[nn.Module, nn.Module],
    origins: Tensor,
    directions: Tensor,
    cond: Tensor,
    *,
    config: VanillaConfig,
    jitter: Tensor | None = None,
) -> tuple[Blend, Blend]:
    """Return what rays see through the coarse network and through the fine one.

    Args:
        networks: Coarse and fine; called with positions [N,S,3], conditions [N,C] and unit directions [N,3].
        origins: [N,3] metres.
        directions: [N,3]; a depth of 1 is their length.
        cond: Condition of each ray, [N,C].
        config: Samples and depths.
        jitter: Offset of each ray's samples, [N] in [0,1); none at inference.
    """
    coarse_net, fine_net = networks
    view = directions / directions.norm(dim=-1, keepdim=True)

    def look(network: nn.Module, depths: Tensor) -> Blend:
        positions = origins[:, None] + directions[:, None] * depths[..., None]
        return blend_samples(network(positions, cond, view).float(), depths, directions)

    depths = even_depths(config.near, config.far, config.n_samples_per_ray, jitter=jitter, like=origins)
    coarse = look(coarse_net, depths)
    depths = fine_depths(depths, coarse.weights, config.n_samples_per_ray_fine, jitter=jitter)
    return coarse, look(fine_net, depths)
