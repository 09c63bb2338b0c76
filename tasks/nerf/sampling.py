"""Which pixels of a frame a step looks at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

Box = tuple[int, int, int, int]
"""x, y, width, height in pixels."""


def clip_box(box: Box, height: int, width: int, *, grow: float = 0.0) -> Box:
    """Return the box grown by a share of its sides on every edge, clipped to the picture, at least one pixel."""
    x, y, w, h = box
    dx, dy = round(w * grow), round(h * grow)
    left, top = min(max(x - dx, 0), width - 1), min(max(y - dy, 0), height - 1)
    right, bottom = max(min(x + w + dx, width), left + 1), max(min(y + h + dy, height), top + 1)
    return left, top, right - left, bottom - top


def mask_box(mask: np.ndarray, fallback: Box) -> Box:
    """Return the box of a mask [H,W] uint8 above a quarter; ``fallback`` where it is empty."""
    rows, columns = np.flatnonzero((mask > 64).any(axis=1)), np.flatnonzero((mask > 64).any(axis=0))
    if len(rows) == 0:
        return fallback
    return int(columns[0]), int(rows[0]), int(columns[-1] - columns[0] + 1), int(rows[-1] - rows[0] + 1)


def as_box(row: np.ndarray) -> Box:
    """Return a stored rectangle [4] as plain integers."""
    x, y, width, height = (int(value) for value in row)
    return x, y, width, height


def split_rays(total: int, shares: Sequence[float]) -> list[int]:
    """Return whole numbers near ``total * share``, and what remains as the last one; they sum to ``total``."""
    counts: list[int] = []
    for share in shares:
        counts.append(min(round(total * share), total - sum(counts)))
    return [*counts, total - sum(counts)]


def sample_pixels(boxes: Sequence[Box], counts: Sequence[int], generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return rows and columns of ``counts`` pixels drawn uniformly from each box, [sum(counts)] each."""
    rows, columns = [], []
    for (x, y, width, height), count in zip(boxes, counts, strict=True):
        drawn = torch.rand(2, count, generator=generator)
        rows.append(y + (drawn[0] * height).long().clamp(max=height - 1))
        columns.append(x + (drawn[1] * width).long().clamp(max=width - 1))
    return torch.cat(rows), torch.cat(columns)


def sample_patch(box: Box, side: int, height: int, width: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return rows and columns of a square of ``side``² neighbouring pixels somewhere in the box, [side²] each.

    It lies inside the picture, and inside the box along each axis in which it fits.

    Raises:
        ValueError: The picture is smaller than the square.
    """
    if side > min(height, width):
        raise ValueError(f"a patch of {side} pixels does not fit into a picture of {width}x{height}")
    x, y, w, h = box
    drawn = torch.rand(2, generator=generator)
    top, left = (
        int(start + share * max(0, size - side + 1))
        for start, share, size in zip((y, x), drawn.tolist(), (h, w), strict=True)
    )
    line = torch.arange(side)
    rows, columns = min(max(top, 0), height - side) + line, min(max(left, 0), width - side) + line
    return rows.repeat_interleave(side), columns.repeat(side)
