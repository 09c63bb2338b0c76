"""Pinhole cameras in the OpenGL convention: the camera looks down -Z, x right, y up; picture rows go down."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Intrinsics:
    """One focal length and the principal point, in pixels of a picture of ``height`` x ``width``."""

    focal: float
    cx: float
    cy: float
    height: int
    width: int

    def resized(self, height: int, width: int) -> Intrinsics:
        """Return the same camera for another picture size."""
        scale = height / self.height
        return replace(
            self,
            focal=self.focal * scale,
            cx=self.cx * width / self.width,
            cy=self.cy * scale,
            height=height,
            width=width,
        )


def pixel_rays(c2w: Tensor, intrinsics: Intrinsics, rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
    """Return origins and unnormalized directions of the rays through pixel centers.

    Args:
        c2w: Camera to head transform, [4,4] or [N,4,4], metres.
        intrinsics: The camera.
        rows: Pixel rows, [N].
        columns: Pixel columns, [N].

    Returns:
        rays_o [N,3] and rays_d [N,3] with unit length along the camera's -Z, so that t is depth in metres.
    """
    x = (columns.to(c2w.dtype) + 0.5 - intrinsics.cx) / intrinsics.focal
    y = -(rows.to(c2w.dtype) + 0.5 - intrinsics.cy) / intrinsics.focal
    directions = torch.stack([x, y, -torch.ones_like(x)], dim=-1)
    rotation = c2w[..., :3, :3].expand(len(x), 3, 3)
    return c2w[..., :3, 3].expand(len(x), 3), (rotation @ directions[..., None])[..., 0]


def project(points: np.ndarray, c2w: np.ndarray, intrinsics: Intrinsics) -> np.ndarray:
    """Return pixel positions (x, y) [...,2] of points [...,3] in head coordinates (metres) seen by one camera [4,4]."""
    camera = (points - c2w[:3, 3]) @ c2w[:3, :3]
    depth = -camera[..., 2]
    x = intrinsics.cx + intrinsics.focal * camera[..., 0] / depth
    y = intrinsics.cy - intrinsics.focal * camera[..., 1] / depth
    return np.stack([x, y], axis=-1)
