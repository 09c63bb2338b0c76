"""Smooth noise in space, for textures."""

from __future__ import annotations

import numpy as np
from numba import njit

from modules.face.morphable.head_asset import FloatArray

_CELLS = 32


@njit(cache=True, fastmath=True)
def _lattice(grid, points, scale, octaves):  # type: ignore[no-untyped-def]
    out = np.zeros(points.shape[0], np.float32)
    for n in range(points.shape[0]):
        gain, factor, shift, total = np.float32(1), scale, np.float32(0), np.float32(0)
        for _ in range(octaves):
            x, y, z = points[n, 0] * factor + shift, points[n, 1] * factor + shift, points[n, 2] * factor + shift
            fx, fy, fz = np.floor(x), np.floor(y), np.floor(z)
            ax, ay, az = x - fx, y - fy, z - fz
            i, j, k = int(fx) & 31, int(fy) & 31, int(fz) & 31
            i1, j1, k1 = (i + 1) & 31, (j + 1) & 31, (k + 1) & 31
            near = (grid[i, j, k] * (1 - ax) + grid[i1, j, k] * ax) * (1 - ay)
            near += (grid[i, j1, k] * (1 - ax) + grid[i1, j1, k] * ax) * ay
            far = (grid[i, j, k1] * (1 - ax) + grid[i1, j, k1] * ax) * (1 - ay)
            far += (grid[i, j1, k1] * (1 - ax) + grid[i1, j1, k1] * ax) * ay
            total += gain * (near * (1 - az) + far * az)
            gain, factor, shift = gain * np.float32(0.5), factor * np.float32(2), shift + np.float32(7.3)
        out[n] = total
    return out


class Noise:
    """Random values on a lattice, interpolated; the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self.grid = np.random.default_rng(seed).standard_normal((_CELLS, _CELLS, _CELLS)).astype(np.float32)

    def __call__(self, points: FloatArray, size_m: float, octaves: int = 1) -> FloatArray:
        """Values of about [-1, 1] at points [N, D <= 3] whose grains are about `size_m` wide."""
        placed = np.zeros((len(points), 3), np.float32)
        placed[:, : points.shape[1]] = points
        return np.asarray(_lattice(self.grid, placed, np.float32(1 / size_m), octaves), np.float32)
