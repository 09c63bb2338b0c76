"""Where in a picture, and how deep, anything occupied can be: occupied cells thrown onto coarse tiles."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from modules.nerf.occupancy import OccupancyGrid
from modules.nerf.precision import full_precision
from utils.geometry.cameras import Intrinsics

_TILE = 8


@torch.no_grad()
@full_precision
def depth_bounds(
    occupancy: OccupancyGrid, aabb: Tensor, c2w: Tensor, camera: Intrinsics, *, step: float
) -> tuple[Tensor, Tensor]:
    """Return near and far depth of every pixel, [H,W] each; far < near where nothing is occupied.

    Each cell is thrown to the tile of its center and tiles are grown by the reach of a cell, so no occupied cell is
    missed.
    """
    height, width = -(-camera.height // _TILE), -(-camera.width // _TILE)
    cells = occupancy.occupied.nonzero()[:, 0]
    size = (aabb[1] - aabb[0]) / occupancy.grid_size
    points = _cell_centers(cells, occupancy.grid_size) * size + aabb[0]
    seen = (points - c2w[:3, 3]) @ c2w[:3, :3]
    depth = -seen[:, 2]
    radius = float(size.norm()) / 2
    in_front = depth > radius
    seen, depth = seen[in_front], depth[in_front]
    column = ((seen[:, 0] / depth * camera.focal + camera.cx) / _TILE).floor()
    row = ((camera.cy - seen[:, 1] / depth * camera.focal) / _TILE).floor()
    reach = 1 if len(depth) == 0 else int(torch.ceil(camera.focal * radius / depth.min() / _TILE))
    inside = (column >= -reach) & (column < width + reach) & (row >= -reach) & (row < height + reach)
    padded = (height + 2 * reach, width + 2 * reach)
    tile = ((row + reach) * padded[1] + column + reach).long()[inside]
    near = _nearest(-depth[inside], tile, padded, reach)
    far = _nearest(depth[inside], tile, padded, reach)
    pixels = [_to_pixels(grid, camera) for grid in (-near - radius - step, far + radius + step)]
    return pixels[0], pixels[1]


def _cell_centers(cells: Tensor, size: int) -> Tensor:
    x, y, z = cells % size, cells.div(size, rounding_mode="floor") % size, cells.div(size * size, rounding_mode="floor")
    return torch.stack([x, y, z], dim=-1) + 0.5


def _nearest(values: Tensor, tile: Tensor, shape: tuple[int, int], reach: int) -> Tensor:
    """Return the largest value of each tile and those within reach; -1e9 where there is none."""
    largest = torch.full((shape[0] * shape[1],), -1e9, device=values.device)
    largest.scatter_reduce_(0, tile, values, "amax")
    return F.max_pool2d(largest.view(1, 1, *shape), 2 * reach + 1, stride=1)[0, 0]


def _to_pixels(tiles: Tensor, camera: Intrinsics) -> Tensor:
    pixels = tiles.repeat_interleave(_TILE, dim=0).repeat_interleave(_TILE, dim=1)
    return pixels[: camera.height, : camera.width]
