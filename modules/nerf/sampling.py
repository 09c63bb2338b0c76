"""Samples along rays: fixed steps in depth inside a box, only in occupied cells, packed ray after ray.

Sample k of a ray lies at depth (k + phase) * step whatever the box, so a tighter bound never moves a sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from modules.nerf.occupancy import OccupancyGrid
from modules.nerf.precision import full_precision
from utils.geometry.cameras import Intrinsics, pixel_rays


@dataclass(frozen=True)
class Rays:
    """N rays, those of one frame contiguous; the direction has unit length along the camera's axis (t is depth)."""

    origins: Tensor
    """[N,3] in head coordinates, metres."""
    directions: Tensor
    """[N,3]"""
    counts: Sequence[int]
    """Rays of each frame; they sum to N."""


@dataclass(frozen=True)
class PackedSamples:
    """P samples sorted by ray, near to far."""

    ray_index: Tensor
    """[P] which ray."""
    rank: Tensor
    """[P] how many samples of the same ray lie in front."""
    depths: Tensor
    """[P] depth t along the ray."""
    cells: Tensor
    """[P] cell of the occupancy grid."""


@full_precision
def camera_rays(c2w: Tensor, camera: Intrinsics, rows: Tensor, columns: Tensor) -> Rays:
    """Return the rays of pixels of F frames, equally many each: c2w [F,4,4], rows and columns [F*n]."""
    counts = [len(rows) // len(c2w)] * len(c2w)
    parts = [
        pixel_rays(matrix, camera, r, c)
        for matrix, r, c in zip(c2w, rows.split(counts), columns.split(counts), strict=True)
    ]
    return Rays(torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts]), counts)


def intersect_box(origins: Tensor, directions: Tensor, aabb: Tensor) -> tuple[Tensor, Tensor]:
    """Return entry and exit depth [N] of rays through the box [2,3]; exit <= entry where a ray misses it."""
    inverse = 1.0 / torch.where(directions.abs() < 1e-9, torch.full_like(directions, 1e-9), directions)
    first, second = (aabb[0] - origins) * inverse, (aabb[1] - origins) * inverse
    near = torch.minimum(first, second).amax(dim=-1).clamp(min=0.0)
    return near, torch.maximum(first, second).amin(dim=-1)


@torch.no_grad()
def march(
    origins: Tensor,
    directions: Tensor,
    occupancy: OccupancyGrid,
    *,
    aabb: Tensor,
    step: float,
    max_steps: int,
    phase: Tensor | float = 0.5,
    bounds: tuple[Tensor, Tensor] | None = None,
) -> PackedSamples:
    """Return the first ``max_steps`` samples of each ray that lie in occupied cells.

    Args:
        origins: [N,3] metres.
        directions: [N,3].
        occupancy: The grid over the box.
        aabb: [2,3] metres.
        step: Depth between samples, metres.
        max_steps: Most samples kept on one ray.
        phase: Position of samples within their step, [N] or one number, in [0,1).
        bounds: Known near and far depth of each ray, [N] each, that hold everything occupied.
    """
    near, far = intersect_box(origins, directions, aabb)
    if bounds is not None:
        near, far = torch.maximum(near, bounds[0]), torch.minimum(far, bounds[1])
    phase = torch.as_tensor(phase, dtype=near.dtype, device=near.device)
    first = torch.ceil(near / step - phase)
    number = (torch.ceil(far / step - phase) - first).clamp(min=0)
    if len(near) == 0 or int(number.max()) == 0:
        return _no_samples(near)
    ks = torch.arange(int(number.max()), device=near.device, dtype=near.dtype)
    depths = (first[:, None] + ks + (phase[:, None] if phase.ndim else phase)) * step
    cells = _cells_along(origins, directions, depths, aabb, occupancy)
    hits = occupancy.occupied[cells] & (ks < number[:, None])
    flat = hits.view(-1).nonzero()[:, 0]
    ray_index = flat.div(len(ks), rounding_mode="floor")
    per_ray = hits.sum(dim=1)
    rank = torch.arange(len(flat), device=near.device) - (per_ray.cumsum(0) - per_ray)[ray_index]
    packed = PackedSamples(ray_index, rank, depths.view(-1)[flat], cells.view(-1)[flat])
    return select(packed, rank < max_steps)


def _cells_along(origins: Tensor, directions: Tensor, depths: Tensor, aabb: Tensor, occupancy: OccupancyGrid) -> Tensor:
    """Return the cell of every depth [N,S] without building positions [N,S,3]."""
    size = occupancy.grid_size
    scale = size / (aabb[1] - aabb[0])
    start, slope = (origins - aabb[0]) * scale, directions * scale
    cells = torch.zeros(depths.shape, dtype=torch.int32, device=depths.device)
    for axis in (2, 1, 0):
        along = torch.addcmul(start[:, axis, None], slope[:, axis, None], depths)
        cells = cells * size + along.to(torch.int32).clamp_(0, size - 1)
    return cells


def join(parts: Sequence[PackedSamples], *, like: Tensor) -> PackedSamples:
    """Return the samples of all ``parts`` in turn; none on the device of ``like`` if there is no part."""
    if not parts:
        return _no_samples(like)
    return PackedSamples(
        ray_index=torch.cat([part.ray_index for part in parts]),
        rank=torch.cat([part.rank for part in parts]),
        depths=torch.cat([part.depths for part in parts]),
        cells=torch.cat([part.cells for part in parts]).long(),
    )


def _no_samples(like: Tensor) -> PackedSamples:
    empty = torch.zeros(0, dtype=torch.long, device=like.device)
    return PackedSamples(empty, empty, torch.zeros(0, dtype=like.dtype, device=like.device), empty)


def select(samples: PackedSamples, keep: Tensor) -> PackedSamples:
    """Return the samples where ``keep`` [P] is true, in the same order."""
    rows = keep.nonzero()[:, 0]  # a mask would be searched once for each field
    if len(rows) == len(keep):
        return samples
    parts = (samples.ray_index, samples.rank, samples.depths, samples.cells)
    return PackedSamples(*(part.index_select(0, rows) for part in parts))
