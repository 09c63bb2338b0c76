"""From windows of normalised landmarks or speech features to a code for a frame."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from modules.nerf.precision import full_precision

FACE_POINTS = (*range(17), *range(27, 36), *range(48, 68))
EYE_POINTS = (*range(17, 27), *range(36, 48))
_STRIDES = {1: (1, 1, 1, 1), 2: (2, 1, 1, 1), 4: (2, 2, 1, 1), 8: (2, 2, 2, 1), 16: (2, 2, 2, 2)}


def window_strides(size: int) -> tuple[int, int, int, int]:
    """Return the strides that shrink a window of ``size`` frames to one (specification 5.4)."""
    return next(strides for limit, strides in _STRIDES.items() if size <= limit)


def landmark_columns(points: Sequence[int]) -> list[int]:
    """Return where the coordinates of some of the 68 landmarks stand in a row of 204."""
    return [3 * point + axis for point in points for axis in range(3)]


class ConditionEncoder(nn.Module):
    """Code [F,dim] of some ``columns`` of windows [F,S,W,C]; S smoothing neighbours, W rows a window."""

    columns: Tensor

    def __init__(self, columns: Sequence[int], *, dim: int, window: int, smoothing: int) -> None:
        super().__init__()
        self.register_buffer("columns", torch.tensor(columns), persistent=False)
        widths = (len(columns), 32, 32, 64, 64)
        self.convs = nn.ModuleList(
            nn.Conv1d(a, b, 3, stride, 1)
            for (a, b), stride in zip(itertools.pairwise(widths), window_strides(window), strict=True)
        )
        self.head = nn.Sequential(nn.Linear(64, dim), nn.LeakyReLU(0.02), nn.Linear(dim, dim))
        self.attention = WindowAttention(dim, smoothing) if smoothing > 1 else None

    @full_precision  # a few rows: the bf16 backward of these convolutions takes longer than all else of a step on a CPU
    def forward(self, cond: Tensor) -> Tensor:
        if self.attention is None:
            cond = cond[:, cond.shape[1] // 2, None]
        frames, neighbours, window, _ = cond.shape
        x = cond[..., self.columns].reshape(frames * neighbours, window, -1).transpose(1, 2)
        for conv in self.convs:
            x = F.leaky_relu(conv(x), 0.02)
        codes = self.head(x[..., 0]).view(frames, neighbours, -1)
        return codes[:, 0] if self.attention is None else self.attention(codes)


class WindowAttention(nn.Module):
    """A weighted mean of neighbouring codes, the weights from the codes themselves (specification 5.4)."""

    def __init__(self, dim: int, size: int) -> None:
        super().__init__()
        widths = (dim, 16, 8, 4, 2, 1)
        layers = [
            module for a, b in itertools.pairwise(widths) for module in (nn.Conv1d(a, b, 3, 1, 1), nn.LeakyReLU(0.02))
        ]
        self.convs = nn.Sequential(*layers)
        self.weigh = nn.Linear(size, size)

    def forward(self, codes: Tensor) -> Tensor:
        """Return [F,dim] of codes [F,S,dim]."""
        weights = torch.softmax(self.weigh(self.convs(codes.transpose(1, 2))[:, 0]), dim=-1)
        return (codes * weights[..., None]).sum(dim=1)
