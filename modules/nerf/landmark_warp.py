"""A frontal warp that carries points of a speaking face to the mean face, by radial basis functions of the landmarks.

Frontal means: z is dropped, the displacement is the same at every depth. It is exact at the landmarks up to a small
ridge and fades with distance from them. The warp is built backwards (at the places where the landmarks are now), on a
grid.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from modules.nerf.precision import full_precision

_INNER_PAIRS = ((61, 67), (62, 66), (63, 65))
_LID_PAIRS = ((37, 41), (38, 40), (43, 47), (44, 46))
_LIP_COLUMNS = (
    ((61, 49), (67, 59)),
    ((61, 50), (67, 58)),
    ((62, 51), (66, 57)),
    ((63, 52), (65, 56)),
    ((63, 53), (65, 55)),
)


def close_lips(face: Tensor) -> Tensor:
    """Return a face [68,3] whose lips are moved together until the inner ones touch; their thickness stays."""
    closed = face.clone()
    for (upper, upper_outer), (lower, lower_outer) in _LIP_COLUMNS:
        half = (face[upper] - face[lower]) / 2
        closed[upper_outer], closed[lower_outer] = face[upper_outer] - half, face[lower_outer] + half
    for upper, lower in _INNER_PAIRS:
        closed[upper] = closed[lower] = (face[upper] + face[lower]) / 2
    return closed


def part_lids(points: Tensor) -> Tensor:
    """Return frontal points [F,68,2] with lids that cross, as landmarkers let closed ones do, on one line instead.

    Where a point of the upper lid lies below its partner, the warp would push the other way and fold the face.
    """
    parted = points.clone()
    for upper, lower in _LID_PAIRS:
        overlap = (points[:, lower, 1] - points[:, upper, 1]).clamp(min=0) / 2
        parted[:, upper, 1] += overlap
        parted[:, lower, 1] -= overlap
    return parted


class LandmarkWarp(nn.Module):
    """Displacement grids [F,2,G,G] for frames of landmarks."""

    mean: Tensor
    line: Tensor
    extent: Tensor

    def __init__(
        self, grid_size: int, *, radius: float, ridge: float, closed_lips: bool = False, num_points: int = 68
    ) -> None:
        super().__init__()
        self.grid_size, self.radius, self.ridge, self.closed_lips = grid_size, radius, ridge, closed_lips
        self.register_buffer("mean", torch.zeros(num_points, 2))
        self.register_buffer("line", torch.zeros(2, grid_size))
        self.register_buffer("extent", torch.ones(2))

    @torch.no_grad()
    def fit(self, lm3d_mean: Tensor, aabb: Tensor) -> None:
        """Take the mean face [68,3] in cm and the box [2,3] in metres."""
        self.mean.copy_(close_lips(lm3d_mean)[:, :2] if self.closed_lips else lm3d_mean[:, :2])
        low, high = aabb[0, :2] * 100, aabb[1, :2] * 100
        self.line.copy_(low[:, None] + (high - low)[:, None] * torch.linspace(0, 1, self.grid_size))
        self.extent.copy_((high - low) / 2)

    @full_precision
    def forward(self, lm3d: Tensor) -> Tensor:
        """Return what to subtract from frontal positions (in units of the box's half size), [F,2,G,G].

        Args:
            lm3d: Landmarks of each frame in cm, [F,68,3].
        """
        points = part_lids(lm3d[..., :2].float())
        displacement = points - self.mean
        among = self._gauss(points[:, :, None] - points[:, None]).prod(dim=-1)
        among = among + self.ridge * torch.eye(points.shape[1], device=points.device)
        coefficients = torch.linalg.solve(among, displacement) / self.extent
        columns = self._gauss(self.line[0] - points[..., :1])
        rows = self._gauss(self.line[1] - points[..., 1:])
        # a two-dimensional Gaussian is a product, so the sum over landmarks is a matrix product
        return (coefficients.transpose(1, 2)[..., None] * rows[:, None]).transpose(2, 3) @ columns[:, None]

    def _gauss(self, distance: Tensor) -> Tensor:
        return torch.exp(distance.square() * (-0.5 / self.radius**2))
