"""Context windows around a frame, the same in training and inference: outside the sequence the edge frame repeats."""

from __future__ import annotations

import torch
from torch import Tensor


def window_indices(length: int, size: int, *, center: Tensor | None = None) -> Tensor:
    """Return the frame numbers of each window, [N,size], clamped to [0, length-1].

    Window ``t`` covers ``t - size//2 ... t - size//2 + size - 1`` (specification 2.9).

    Args:
        length: Frames in the sequence.
        size: Frames in a window.
        center: Frames to center on, [N]; all frames when absent.
    """
    if length < 1 or size < 1:
        raise ValueError(f"length and size must be at least 1, got {length} and {size}")
    centers = torch.arange(length) if center is None else center
    offsets = torch.arange(size) - size // 2
    return (centers[:, None] + offsets[None, :].to(centers.device)).clamp(0, length - 1)
