"""Encoders that keep time: every video frame of a window has a vector, and a window is compared frame by frame.

Averaged over time, a window of a second is a bag of sounds that hardly tells when each of them was; learning where
lips belong from it takes many persons. Compared frame by frame, both sides need to agree only on what a mouth does now,
which few persons can teach.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from modules.layers.conv import ConvBlock1d

_DILATIONS = (1, 2, 1)


class FrameEncoder(nn.Module):
    """Maps a window [N,C,T] to one vector a video frame, which sees four video frames (speech: five) to both sides."""

    def __init__(self, channels: int, width: int, dims: int, *, rows_per_frame: int, dropout: float) -> None:
        """Build it.

        Args:
            channels: Of the input.
            width: Of the hidden layers.
            dims: Of a frame's vector.
            rows_per_frame: Input rows a video frame: 1 for mouths, 2 for speech.
            dropout: Share of input channels that show their mean only, while training.
        """
        super().__init__()
        first: list[nn.Module] = [
            nn.BatchNorm1d(channels, affine=False), nn.Dropout1d(dropout), nn.Conv1d(channels, width, 1)
        ]  # fmt: skip
        if rows_per_frame == 2:
            first.append(ConvBlock1d(width, width, 4, stride=2))
        self.first = nn.Sequential(*first)
        self.blocks = nn.ModuleList(_ResidualBlock(width, dilation) for dilation in _DILATIONS)
        self.last = nn.Conv1d(width, dims, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return [N,dims,W] of [N,C,W * rows_per_frame]."""
        hidden = self.first(x)
        for block in self.blocks:
            hidden = block(hidden)
        out: Tensor = self.last(hidden)
        return out


class _ResidualBlock(nn.Module):
    """A dilated convolution whose rectified result is added to its input."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation)
        self.norm = nn.BatchNorm1d(width)

    def forward(self, x: Tensor) -> Tensor:
        """Map [N,C,T] to [N,C,T]."""
        return x + F.relu(self.norm(self.conv(x)))


def frame_embedding(vectors: Tensor) -> Tensor:
    """Return unit vectors [N,dims*W+1] whose dot product is (1 + r) / 2, r the correlation of two windows [N,dims,W].

    The mean of each dimension over the window is taken out first: how a mouth rests and a microphone sounds tells
    nothing about time.
    """
    moving = F.normalize((vectors - vectors.mean(2, keepdim=True)).flatten(1), dim=1)
    return torch.cat([moving, torch.ones_like(moving[:, :1])], dim=1) * 0.5**0.5
