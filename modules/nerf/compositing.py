"""Blending samples front to back along rays (equation 3 of NeRF), a few samples of all rays at a time.

A wave holds at most W samples of each ray. What was in front of it enters as ``transmittance``, so waves may be chained
and rays that have become opaque left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Wave:
    """What one wave adds to its rays."""

    weights: Tensor
    """[P] share of each sample in its pixel."""
    rgb: Tensor
    """[N,3] color times opacity added by this wave."""
    depth: Tensor
    """[N] depth times weight added by this wave."""
    transmittance: Tensor
    """[N] light that still passes behind the wave."""


def composite_wave(
    optical: Tensor,
    rgbs: Tensor,
    depths: Tensor,
    *,
    ray_index: Tensor,
    rank: Tensor,
    transmittance: Tensor,
    width: int,
    stop: float = 0.0,
) -> Wave:
    """Blend packed samples over what lies in front of them.

    Args:
        optical: Optical thickness (density times length) of each sample, [P].
        rgbs: Colors in [0,1], [P,3].
        depths: Depth of each sample, [P].
        ray_index: Ray of each sample, [P]; samples of a ray are in order of depth.
        rank: Place of each sample among those of its ray in this wave, [P], below ``width``.
        transmittance: Light that reaches the wave, [N].
        width: Most samples of a ray in this wave.
        stop: A ray ends at the sample behind which less light than this passes; that sample takes all the rest, so the
            picture does not depend on how samples are dealt to waves.
    """
    num_rays = len(transmittance)
    slots = ray_index * width + rank
    thickness = optical.new_zeros(num_rays * width).scatter(0, slots, optical).view(num_rays, width)
    behind = thickness.cumsum(dim=1)
    before = _none_below(transmittance[:, None] * torch.exp(thickness - behind), stop)
    after = _none_below(transmittance[:, None] * torch.exp(-behind), stop)
    weights = (before - after).view(-1)[slots]
    colors = rgbs.new_zeros(num_rays * width, 4)
    values = torch.cat([rgbs, depths[:, None]], dim=1) * weights[:, None]
    blended = colors.index_copy(0, slots, values).view(num_rays, width, 4).sum(dim=1)
    return Wave(weights, blended[:, :3], blended[:, 3], after[:, -1])


def _none_below(light: Tensor, stop: float) -> Tensor:
    return torch.where(light < stop, torch.zeros_like(light), light) if stop else light


def over(front_rgb: Tensor, front_alpha: Tensor, back_rgb: Tensor) -> Tensor:
    """Return a premultiplied color [...,3] with opacity [...] laid over an opaque color [...,3]."""
    return front_rgb + (1 - front_alpha)[..., None] * back_rgb
