"""Dense planes read by bilinear interpolation: three orthogonal ones at several sizes, and planes of each frame."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_AXES = ((0, 1), (2, 1), (0, 2))


class Triplane(nn.Module):
    """Features of a point: from the planes xy, zy and xz at each size, side by side."""

    def __init__(self, sizes: Sequence[int], channels: int) -> None:
        super().__init__()
        # coarse shapes come first: detail begins near zero, or its noise stays where few rays pass
        deviations = [0.1 * (sizes[0] / size) ** 2 for size in sizes]
        self.planes = nn.ParameterList(
            [
                nn.Parameter(deviation * torch.randn(3, channels, size, size))
                for size, deviation in zip(sizes, deviations, strict=True)
            ]
        )
        self.width = 3 * channels * len(sizes)

    def forward(self, positions: Tensor) -> Tensor:
        """Return features [width,P] of positions [P,3] in [-1,1]."""
        grid = torch.stack([positions[:, axes] for axes in _AXES])[:, None]
        features = [_read(plane, grid).reshape(-1, len(positions)) for plane in self.planes]
        return torch.cat(features)


def _read(planes: Tensor, grid: Tensor) -> Tensor:
    """Return [B,C,P] of planes [B,C,H,W] at grid [B,1,P,2]; outside, the border's value."""
    return F.grid_sample(planes, grid, mode="bilinear", padding_mode="border", align_corners=True)[:, :, 0]


def read_frames(planes: Sequence[Tensor], positions: Tensor, counts: Sequence[int]) -> Tensor:
    """Return [C,P]: planes [1,C,H,W] of each frame at its own positions [P,2], contiguous by ``counts``."""
    parts = [
        _read(plane, part[None, None])[0]
        for plane, part in zip(planes, positions.split(list(counts)), strict=True)
        if len(part)
    ]
    return torch.cat(parts, dim=1) if parts else planes[0].new_zeros(planes[0].shape[1], 0)
